//! The command `hls-relay`. All it does is in the library beside it.

use clap::Parser;
use hls_relay::cli::{Action, Cli};
use hls_relay::{app, logging, transcode};
use std::process::ExitCode;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    transcode::become_encoder_if_asked();
    let cli = Cli::parse();
    let screen = logging::init(cli.log_format, cli.log_level);
    // One channel needs one thread. Of many, none keeps the others waiting while it reads a long list.
    let mut builder = if matches!(cli.action, Action::Node(_) | Action::Worker(_)) {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(app::run(cli, screen));
            // A disk that hangs does not keep the process.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
