//! Transcode workers, as real processes, with a real Redis and the real ffmpeg.

mod bounds;
mod hostile;
#[path = "../transcode/jobs.rs"]
mod jobs;
#[allow(dead_code)]
#[path = "../transcode/media.rs"]
mod media;
mod node;
#[allow(dead_code)]
#[path = "../node/operator.rs"]
mod operator;
#[allow(dead_code)]
#[path = "../transcode/processes.rs"]
mod processes;
mod queue;
mod relayed;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod ten_minutes;
#[allow(dead_code)]
#[path = "../node/viewers.rs"]
mod viewers;
