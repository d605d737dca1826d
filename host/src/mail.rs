//! Messages to people.
//!
//! With `[mail] smtp_url` they go to a mail server. Without it, in development, each becomes a file of the spool
//! folder and a line in the log that names it; elsewhere none is sent, because a token in a file or a log would be as
//! good as a password.
//!
//! Deliberately absent: templates, HTML, and a queue: who does not get a message asks for another.

use std::{
    fmt,
    fs::{DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use secrecy::ExposeSecret as _;

use crate::config::{Environment, MailConfig};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends messages. Clones share the connections.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
}

struct Inner {
    way: Way,
    from: Option<Mailbox>,
    reset_url: String,
    verify_url: String,
}

enum Way {
    Off,
    Spool(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// A message to one person. Not `Debug`: it holds a token.
pub struct Mail {
    /// Names the file in the spool; made by the store.
    pub id: String,
    pub to: String,
    pub subject: &'static str,
    pub text: String,
}

/// Why no mailer could be made.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("`mail.from` is not an address")]
    From(#[source] lettre::address::AddressError),
    #[error("`mail.smtp_url` is not the address of a mail server")]
    Server(#[source] lettre::transport::smtp::Error),
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("mail cannot be sent to this address")]
    Address(#[source] lettre::address::AddressError),
    #[error("the message cannot be made")]
    Message(#[source] lettre::error::Error),
    #[error("the mail server did not take it")]
    Server(#[source] lettre::transport::smtp::Error),
    #[error("the mail cannot be written to `{}`", .path.display())]
    Spool {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Mailer {
    /// # Errors
    /// What is wrong with the configuration.
    pub fn open(config: &MailConfig, environment: Environment, data_dir: &Path) -> Result<Self, MailerError> {
        let from = config.from.parse().map_err(MailerError::From)?;
        let way = match &config.smtp_url {
            Some(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
                Way::Smtp(builder.map_err(MailerError::Server)?.timeout(Some(PATIENCE)).build())
            }
            None if environment == Environment::Development => Way::Spool(data_dir.join("mail")),
            None => {
                tracing::warn!("No mail is sent, so nobody can set a forgotten password anew: set SMTP_URL");
                Way::Off
            }
        };
        let (reset_url, verify_url) = (config.reset_url.clone(), config.verify_url.clone());
        Ok(Self { inner: Arc::new(Inner { way, from: Some(from), reset_url, verify_url }) })
    }

    /// Sends nothing.
    pub fn off() -> Self {
        let inner = Inner { way: Way::Off, from: None, reset_url: String::new(), verify_url: String::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The storefront's page for a new password, with `{token}` in it, or nothing.
    pub fn reset_url(&self) -> &str {
        &self.inner.reset_url
    }

    /// The storefront's page that confirms an address, with `{token}` in it, or nothing.
    pub fn verify_url(&self) -> &str {
        &self.inner.verify_url
    }

    /// # Errors
    /// Why it was not sent.
    pub async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let Some(from) = self.inner.from.as_ref().filter(|_| !matches!(self.inner.way, Way::Off)) else {
            return Ok(());
        };
        let to: Mailbox = mail.to.parse().map_err(MailError::Address)?;
        let message = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(MailError::Message)?;
        match &self.inner.way {
            Way::Off => Ok(()),
            Way::Smtp(transport) => transport.send(message).await.map(drop).map_err(MailError::Server),
            Way::Spool(folder) => {
                let path = folder.join(format!("{}.eml", mail.id));
                let written = write(folder, &path, &message.formatted());
                written.map_err(|source| MailError::Spool { path: path.clone(), source })?;
                tracing::info!("A mail lies in `{}`: no mail server is configured", path.display());
                Ok(())
            }
        }
    }
}

/// For its owner only: what is in it is as good as a password. Small, and in development only, so it may block.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Whoever waits for the file sees it whole.
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    std::fs::rename(&beside, path)
}

impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mailer").finish_non_exhaustive()
    }
}
