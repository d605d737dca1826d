//! `wares user create`.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    process::ExitCode,
};

use rustix::termios::{self, LocalModes, OptionalActions};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Failure, Output,
    arguments::{Kind, UserCreateArguments},
};
use crate::{
    clock::Clock,
    config::Config,
    control::{ControlClient, UserCreate},
    identity::{AccountKind, Identity, NewAccount, PASSWORD_MIN_CHARACTERS, User},
    mail::Mailer,
    store::Store,
};

/// More than the longest password: reading ends even when standard input does not.
const READ_BYTES: u64 = 4096;

pub(super) async fn create(arguments: UserCreateArguments, output: Output) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&arguments.place.overrides())?.config;
    let account = NewAccount {
        email: arguments.email,
        name: arguments.name,
        kind: match arguments.kind {
            Kind::Admin => AccountKind::Admin,
        },
        roles: arguments.roles,
    };
    let password = read_password()?;
    let user = match ControlClient::connect(&config.store.data_dir).await? {
        Some(client) => {
            client.user_create(&UserCreate { account, password: password.expose_secret().to_owned() }).await?
        }
        None => create_in_store(&mut config, account, password).await?,
    };
    output
        .answer(&format!("Created the {} account {} ({}).", user.kind.as_str(), user.email, user.id), &user);
    output.note(&format!("Log in with POST {}/auth/admin/login.", config.server.api_path()));
    Ok(ExitCode::SUCCESS)
}

/// Creates the account when no host runs.
async fn create_in_store(
    config: &mut Config,
    account: NewAccount,
    password: SecretString,
) -> Result<User, Failure> {
    config.prepare()?;
    let store = Store::open(config.store.store_config(), Clock::system()).await?;
    let identity = Identity::open(store.clone(), &config.auth, Mailer::off())
        .await
        .map_err(|error| Failure::of(&error, "Run `wares doctor` to learn more."))?;
    let created = identity.account_create(account, password).await;
    drop(identity);
    store.close().await;
    Ok(created?)
}

fn read_password() -> Result<SecretString, Failure> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() { prompt(&stdin) } else { read_piped(&mut stdin.lock()) };
    let text = text.map_err(|error| {
        Failure::of(
            &error,
            "Give the password on standard input, for example `wares user create … < password.txt`.",
        )
    })?;
    if text.is_empty() {
        return Err(Failure::usage(
            "no password was given",
            format!(
                "Give one of at least {PASSWORD_MIN_CHARACTERS} characters on standard input, for example `printf %s \"$PASSWORD\" | wares user create …`."
            ),
        ));
    }
    Ok(SecretString::from(text))
}

/// All of the input, without the line break at its end.
fn read_piped(input: &mut impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(READ_BYTES).read_to_string(&mut text)?;
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// Asks at the terminal, without showing what is typed.
fn prompt(stdin: &io::Stdin) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "Password (at least {PASSWORD_MIN_CHARACTERS} characters): ")?;
    stderr.flush()?;
    let before = termios::tcgetattr(stdin)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(stdin, OptionalActions::Flush, &silent)?;
    let mut line = String::new();
    let read = stdin.lock().take(READ_BYTES).read_line(&mut line);
    termios::tcsetattr(stdin, OptionalActions::Flush, &before)?;
    writeln!(stderr)?;
    read?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piped_password_ends_before_its_line_break() {
        let read = |text: &str| read_piped(&mut text.as_bytes()).unwrap();
        assert_eq!(read("correct horse \n"), "correct horse ");
        assert_eq!(read("a\r\n"), "a");
        assert_eq!(read("\n"), "");
        assert_eq!(read(&"x".repeat(10_000)).len(), 4096);
    }
}
