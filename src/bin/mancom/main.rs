//! `mancom`: networks, labels and streams from a shell.
//!
//! Data goes to stdout, everything else to stderr; nothing is ever asked. Exit codes are stable, see
//! [`exit::Exit`]. One file a subcommand; what they share is how they end (`exit`), how they print
//! (`output`), how they wait (`patience`, `scan`, `signals`), how they show a network (`view`) and how they
//! read a length of time (`duration`) and where traffic goes (`destination`).

mod airhook;
mod cat;
mod config;
mod destination;
mod duration;
mod exit;
mod key;
mod label;
#[cfg(unix)]
mod limits;
#[cfg(unix)]
mod nudge;
#[cfg(unix)]
mod ops;
mod output;
mod patience;
mod run;
mod scan;
#[cfg(unix)]
mod scout;
mod signals;
mod status;
mod view;
mod wait;
mod watch;
mod why;

use clap::{Args, Parser, Subcommand};
use exit::{Exit, Failure};
use output::{Output, say};
use std::future::Future;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Networks, labels and streams that survive the loss of any or all networks.
#[derive(Debug, Parser)]
#[command(name = "mancom", version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand understands.
#[derive(Debug, Args)]
struct Global {
    /// Read this configuration file above those of the host.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON instead of text: one object, of `watch` one a line. No effect on cat, run and scout.
    #[arg(long, global = true)]
    json: bool,
    /// Print without colours, also to a terminal.
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Airhook(airhook::Airhook),
    Cat(cat::Cat),
    Status(status::Status),
    Watch(watch::Watch),
    Why(why::Why),
    Wait(wait::Wait),
    Run(run::Run),
    #[cfg(unix)]
    Scout(scout::Scout),
    Label(label::Explain),
    #[cfg(unix)]
    Ops(ops::Ops),
    #[cfg(unix)]
    Limits(limits::Limits),
    #[cfg(unix)]
    Nudge(nudge::Nudge),
    Key(key::Key),
    Config(config::Config),
}

/// How long a blocking read of a terminal may hold up the end.
const BLOCKING: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = &cli.global;
    let output = Output::new(global.json, global.no_color);
    log(global.no_color);
    let ended: Result<ExitCode, Failure> = match &cli.command {
        Command::Airhook(airhook) => run(airhook.run()),
        Command::Cat(cat) => run(cat.run(global)),
        Command::Status(status) => run(status.run(global, &output)),
        Command::Watch(watch) => run(watch.run(global, &output)),
        Command::Why(why) => run(why.run(global, &output)),
        Command::Wait(wait) => run(wait.run(global, &output)),
        Command::Run(command) => run(command.run(global)),
        #[cfg(unix)]
        Command::Scout(scout) => run(scout.run(global)),
        #[cfg(unix)]
        Command::Ops(ops) => run(ops.run(global, &output)),
        #[cfg(unix)]
        Command::Limits(limits) => run(limits.run(global, &output)),
        #[cfg(unix)]
        Command::Nudge(nudge) => run(nudge.run(global, &output)),
        Command::Label(label) => label.run(global, &output).map(ExitCode::from),
        Command::Key(key) => key.run(global, &output).map(ExitCode::from),
        Command::Config(config) => config.run(global, &output).map(ExitCode::from),
    };
    ended.unwrap_or_else(|failure| {
        say(&failure.message);
        failure.exit.into()
    })
}

/// Runs a subcommand that needs networks.
fn run<E: Into<ExitCode>>(
    work: impl Future<Output = Result<E, Failure>>,
) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(BLOCKING);
    ended.map(Into::into)
}

impl Global {
    /// The manager that `--config`, or else the host's configuration, describes.
    async fn manager(&self) -> Result<mancom::Manager, Failure> {
        self.build(mancom::Manager::builder()).await
    }

    /// The same for a subcommand that may last: `ops` shows what it waits for, as that of any program.
    async fn lasting_manager(&self) -> Result<mancom::Manager, Failure> {
        // A configuration that is wrong is told when the manager is built.
        let config = mancom::manager::config::Config::load(self.config.as_deref());
        let said = config.ok().and_then(|config| config.monitor().enabled);
        let builder = mancom::Manager::builder().inspect(said.unwrap_or(true));
        let manager = self.build(builder).await?;
        // As under `#[mancom::main]`: the hang-up of a terminal must still end it.
        #[cfg(unix)]
        if std::fs::File::open("/dev/tty").is_err()
            && let Err(error) = manager.reload_on_hangup()
        {
            say(format_args!("cannot handle SIGHUP: {error}"));
        }
        Ok(manager)
    }

    async fn build(&self, builder: mancom::ManagerBuilder) -> Result<mancom::Manager, Failure> {
        let builder = match &self.config {
            Some(file) => builder.config_file(file),
            None => builder,
        };
        builder
            .build()
            .await
            .map_err(|error| Failure::new(Exit::Usage, mancom::Error::from(error)))
    }
}

/// The library's own log, on stderr: errors and whom a listener refuses, or what `RUST_LOG` says.
fn log(no_color: bool) {
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::filter::LevelFilter;

    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::ERROR.into())
        .from_env_lossy();
    let filter = match (std::env::var_os("RUST_LOG"), "mancom::refused=warn".parse()) {
        (None, Ok(refused)) => filter.add_directive(refused),
        _ => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(!no_color && std::io::stderr().is_terminal())
        .init();
}
