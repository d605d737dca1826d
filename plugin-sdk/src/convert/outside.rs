//! `wares:http-client` and `wares:secrets`.

use crate::{
    bindings::endpoint::wares::{http_client::http_client as wit, secrets::secrets as wit_secrets},
    http_client::{Request, Response, SendError},
    secrets::SecretError,
};

pub(crate) fn http_send(request: &Request) -> Result<Response, SendError> {
    let request = wit::Request {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        secret_headers: request
            .secret_headers
            .iter()
            .map(|header| wit::SecretHeader {
                name: header.name.clone(),
                secret: header.secret.clone(),
                prefix: header.prefix.clone(),
            })
            .collect(),
        body: request.body.clone(),
        timeout_ms: request.timeout_ms,
        idempotency_key: request.idempotency_key.clone(),
    };
    match wit::send(&request) {
        Ok(response) => {
            Ok(Response { status: response.status, headers: response.headers, body: response.body })
        }
        Err(error) => Err(match error {
            wit::Error::Denied(what) => SendError::Denied(what),
            wit::Error::Invalid(what) => SendError::Invalid(what),
            wit::Error::Unreachable(why) => SendError::Unreachable(why),
            wit::Error::Timeout => SendError::Timeout,
            wit::Error::Transport(why) => SendError::Transport(why),
            wit::Error::TooLarge(limit) => SendError::TooLarge(limit),
        }),
    }
}

pub(crate) fn verify_hmac(secret: &str, message: &[u8], signature: &[u8]) -> Result<bool, SecretError> {
    wit_secrets::verify_hmac(secret, message, signature).map_err(|error| match error {
        wit_secrets::Error::Denied(what) => SecretError::Denied(what),
        wit_secrets::Error::Unavailable(what) => SecretError::Unavailable(what),
    })
}
