//! The command `hls-relay`. All it does is in the library beside it.

use clap::Parser;
use hls_relay::{app, cli::Cli, logging};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = logging::init(cli.log_format, cli.log_level);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
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
