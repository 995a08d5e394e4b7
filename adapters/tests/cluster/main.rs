//! Several nodes and a Redis, as real processes.

mod cuts;
mod disks;
mod failover;
mod kinds_of_redis;
mod late;
mod life;
mod log_lines;
mod names;
mod nodes;
#[allow(dead_code)]
#[path = "../node/operator.rs"]
mod operator;
mod registry;
mod spread;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../node/viewers.rs"]
mod viewers;
mod viewers_elsewhere;
mod way;
mod writers;
