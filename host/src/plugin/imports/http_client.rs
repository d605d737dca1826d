//! `wares:http-client`.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};

use super::secrets::Absent;
use crate::{
    egress::{Bounds, Outgoing, SendError, Sender},
    plugin::{
        bindings::wares::http_client::http_client::{Error, Host, Request, Response, SecretHeader},
        instance::{CallState, Granted},
    },
};

/// The largest body of an answer. Gateways answer with some kilobytes.
const RESPONSE_BYTES: usize = 1024 * 1024;
/// What the headers of an answer may take of the call's budget, besides.
const RESPONSE_HEADER_BYTES: usize = 64 * 1024;
/// What the plugin keeps of its time to write down what it has learned: a tenth, and not more than this.
const REPLY_MARGIN: Duration = Duration::from_millis(250);

impl Host for CallState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.budget.spend(size(&request))?;
        let response_bytes =
            self.budget.bytes_left().saturating_sub(RESPONSE_HEADER_BYTES).min(RESPONSE_BYTES);
        let granted = self.granted()?;
        let (deadline, grants, egress) =
            (granted.deadline, granted.grants.clone(), granted.outside.egress.clone());
        let secret_headers: Result<Vec<_>, Absent> =
            request.secret_headers.iter().map(|header| granted.secret_header(header)).collect();
        let secret_headers = match secret_headers {
            Ok(headers) => headers,
            Err(Absent::NotGranted(why)) => {
                self.denied = true;
                return Ok(Err(Error::Denied(why)));
            }
            Err(Absent::NoValue(why)) => return Ok(Err(Error::Denied(why))),
        };
        let outgoing = Outgoing {
            method: request.method,
            url: request.url,
            headers: request.headers,
            secret_headers,
            body: request.body,
            timeout: (request.timeout_ms > 0).then(|| Duration::from_millis(request.timeout_ms.into())),
            idempotency_key: request.idempotency_key,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let until = deadline.checked_sub(REPLY_MARGIN.min(left / 10)).unwrap_or(deadline);
        let sender =
            Sender { plugin: &self.plugin.id, request_id: &self.request_id, origins: grants.origins() };
        let sent = egress.send(sender, outgoing, Bounds { until, response_bytes }).await;
        match sent {
            Ok(answer) => {
                let headers = answer.headers.iter().map(|(name, value)| name.len() + value.len());
                self.budget.spend_bytes(headers.sum::<usize>() + answer.body.len())?;
                Ok(Ok(Response { status: answer.status, headers: answer.headers, body: answer.body }))
            }
            Err(error) => {
                self.denied |= matches!(error, SendError::Denied(_));
                Ok(Err(to_guest(error)))
            }
        }
    }
}

impl Granted {
    fn secret_header(&self, header: &SecretHeader) -> Result<(String, SecretString), Absent> {
        let value = self.secret(&header.secret)?;
        let value = SecretString::from(format!("{}{}", header.prefix, value.expose_secret()));
        Ok((header.name.clone(), value))
    }
}

fn size(request: &Request) -> usize {
    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len());
    let secret = request.secret_headers.iter().map(|it| it.name.len() + it.secret.len() + it.prefix.len());
    let key = request.idempotency_key.as_ref().map_or(0, String::len);
    request.url.len() + request.body.len() + key + headers.chain(secret).sum::<usize>()
}

fn to_guest(error: SendError) -> Error {
    match error {
        SendError::Denied(why) => Error::Denied(why),
        SendError::Invalid(why) => Error::Invalid(why),
        SendError::Unreachable(why) => Error::Unreachable(why),
        SendError::Timeout => Error::Timeout,
        SendError::Transport(why) => Error::Transport(why),
        SendError::TooLarge(bytes) => Error::TooLarge(bytes as u64),
    }
}
