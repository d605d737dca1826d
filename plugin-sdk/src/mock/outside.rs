//! The outside of a mock host: a server that the test plays, and secrets that the test knows.

use std::{cell::RefCell, collections::BTreeMap};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::MockHost;
use crate::{
    http_client::{Request, Response, SendError},
    secrets::SecretError,
};

type Server = Box<dyn FnMut(&Request) -> Result<Response, SendError>>;

#[derive(Default)]
pub(super) struct Outside {
    server: RefCell<Option<Server>>,
    sent: RefCell<Vec<Request>>,
    secrets: RefCell<BTreeMap<String, String>>,
}

impl MockHost {
    /// Who answers requests to the outside from now on. Before, nobody can be reached.
    pub fn serve(&self, server: impl FnMut(&Request) -> Result<Response, SendError> + 'static) {
        *self.outside.server.borrow_mut() = Some(Box::new(server));
    }

    /// The requests that were sent so far. A secret is in them by its name only.
    pub fn requests(&self) -> Vec<Request> {
        self.outside.sent.borrow().clone()
    }

    /// Gives the plugin a secret.
    pub fn secret(&self, name: &str, value: &str) {
        self.outside.secrets.borrow_mut().insert(name.to_owned(), value.to_owned());
    }
}

pub(super) fn send(outside: &Outside, request: &Request) -> Result<Response, SendError> {
    let secrets = outside.secrets.borrow();
    if let Some(header) = request.secret_headers.iter().find(|it| !secrets.contains_key(&it.secret)) {
        return Err(SendError::Denied(format!("the secret `{}` is not granted", header.secret)));
    }
    let changes_nothing = matches!(request.method.as_str(), "GET" | "HEAD");
    if request.idempotency_key.is_none() && !changes_nothing {
        return Err(SendError::Invalid(format!("{} needs an idempotency key", request.method)));
    }
    match outside.server.borrow_mut().as_mut() {
        Some(server) => {
            outside.sent.borrow_mut().push(request.clone());
            server(request)
        }
        None => Err(SendError::Unreachable("there is no server".to_owned())),
    }
}

pub(super) fn verify(
    outside: &Outside,
    secret: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, SecretError> {
    let secrets = outside.secrets.borrow();
    let Some(value) = secrets.get(secret) else {
        return Err(SecretError::Denied(format!("the secret `{secret}` is not granted")));
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(value.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message);
    Ok(mac.verify_slice(signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, http_client::SecretHeader};

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[test]
    fn signatures_are_hmac_sha_256() {
        let host = MockHost::empty();
        let ctx = Context::new(&host, b"");
        // RFC 4231, test case 2.
        let message = b"what do ya want for nothing?";
        let good = bytes("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(matches!(ctx.verify_hmac("KEY", message, &good), Err(SecretError::Denied(_))));
        host.secret("KEY", "Jefe");
        assert_eq!(ctx.verify_hmac("KEY", message, &good), Ok(true));
        assert_eq!(ctx.verify_hmac("KEY", message, &good[..31]), Ok(false));
        assert_eq!(ctx.verify_hmac("KEY", b"else", &good), Ok(false));
        assert_eq!(ctx.verify_hmac("KEY", message, b""), Ok(false));
    }

    #[test]
    fn the_server_is_played_by_the_test() {
        let host = MockHost::empty();
        let ctx = Context::new(&host, b"");
        let request = Request {
            method: "POST".to_owned(),
            url: "https://api.example/things".to_owned(),
            secret_headers: vec![SecretHeader {
                name: "authorization".to_owned(),
                secret: "KEY".to_owned(),
                prefix: "Bearer ".to_owned(),
            }],
            idempotency_key: Some("1".to_owned()),
            ..Request::default()
        };
        assert!(matches!(ctx.http_send(&request), Err(SendError::Denied(_))));
        host.secret("KEY", "s3cret");
        assert!(matches!(ctx.http_send(&request), Err(SendError::Unreachable(_))));
        host.serve(|request| {
            Ok(Response { status: 201, body: request.url.clone().into(), ..Response::default() })
        });
        assert_eq!(ctx.http_send(&request).unwrap().body, b"https://api.example/things");
        let unkeyed = Request { idempotency_key: None, ..request.clone() };
        assert!(matches!(ctx.http_send(&unkeyed), Err(SendError::Invalid(_))));
        assert_eq!(host.requests(), [request]);
        assert!(!format!("{:?}", host.requests()).contains("s3cret"));
    }
}
