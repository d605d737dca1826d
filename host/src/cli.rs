//! The `wares` command.
//!
//! Rules for every command: what it answers goes to standard output, everything else to standard error; an error
//! names its cause and the next step; the exit code is 0, 1 for a failure and 2 for a wrong call; nothing is asked
//! for unless somebody sits at a terminal.
//!
//! Deliberately absent: rules of the shop. A command calls a facade and prints what came back.

mod application;
mod arguments;
mod audit;
mod db;
mod dev;
mod doctor;
mod export;
mod failure;
mod import;
mod openapi;
mod output;
mod plugin;
mod progress;
mod reference;
mod seed;
mod serve;
mod settings;
mod signals;
mod user;

use std::process::ExitCode;

use clap::Parser;

pub use application::Application;
use arguments::{
    Arguments, AuditCommand, Command, ConfigCommand, DbCommand, ExportCommand, ImportCommand, PluginCommand,
    UserCommand,
};
use failure::Failure;
use output::Output;

use crate::import::Kind;

/// Runs the command of this process.
pub fn main<A: Application>() -> ExitCode {
    // Parse errors, `--help` and `--version` end here, with 2 and 0.
    let arguments = Arguments::parse();
    let output = Output { json: arguments.json, quiet: arguments.quiet };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output.failure(&Failure::new(
                format!("the runtime cannot start: {error}"),
                "Free some memory or raise the limit of threads, then try again.",
            ));
        }
    };
    match runtime.block_on(run::<A>(arguments.command, output)) {
        Ok(code) => code,
        Err(failure) => output.failure(&failure),
    }
}

async fn run<A: Application>(command: Command, output: Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(arguments) => serve::run::<A>(arguments, output).await,
        Command::Dev(arguments) => dev::run::<A>(arguments, output).await,
        Command::User(UserCommand::Create(arguments)) => user::create(arguments, output).await,
        Command::Seed(arguments) => seed::run::<A>(arguments, output).await,
        Command::Import(ImportCommand::Products(arguments)) => import::products::<A>(arguments, output).await,
        Command::Import(ImportCommand::Categories(arguments)) => {
            import::lines::<A>(Kind::Categories, arguments, output).await
        }
        Command::Import(ImportCommand::Users(arguments)) => {
            import::lines::<A>(Kind::Users, arguments, output).await
        }
        Command::Import(ImportCommand::Orders(arguments)) => {
            import::lines::<A>(Kind::Orders, arguments, output).await
        }
        Command::Export(ExportCommand::Products(arguments)) => export::products::<A>(arguments, output).await,
        Command::Export(ExportCommand::Categories(arguments)) => {
            export::categories::<A>(arguments, output).await
        }
        Command::Db(DbCommand::Backup(arguments)) => db::backup(&arguments, output).await,
        Command::Db(DbCommand::Restore(arguments)) => db::restore(&arguments, output).await,
        Command::Db(DbCommand::Verify(arguments)) => db::verify(&arguments, output).await,
        Command::Db(DbCommand::Migrate(arguments)) => db::migrate(&arguments, output).await,
        Command::Audit(AuditCommand::Verify(place)) => audit::verify(&place, output).await,
        Command::Config(ConfigCommand::Show(place)) => settings::show(&place, output),
        Command::Config(ConfigCommand::Check(place)) => settings::check(&place, output),
        Command::Plugin(PluginCommand::Check(arguments)) => plugin::check::<A>(arguments, output).await,
        Command::Plugin(PluginCommand::List(place)) => plugin::list::<A>(&place, output).await,
        Command::Plugin(PluginCommand::Replay(arguments)) => plugin::replay::<A>(&arguments, output).await,
        Command::Doctor(arguments) => doctor::run(&arguments, output).await,
        Command::Openapi(arguments) => openapi::run::<A>(arguments, output).await,
        Command::Reference => reference::run(output),
    }
}
