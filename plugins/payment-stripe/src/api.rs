//! Requests to Stripe.

use plugin_sdk::{
    Context, Level, Problem,
    http_client::{Request, Response, SecretHeader},
    payment::Operation,
};
use serde::de::DeserializeOwned;

use crate::{
    API_KEY, Config,
    attempts::Attempt,
    rules::{ErrorBody, Failure, Intent, Refund, judge},
};

/// The version that the objects in [`rules`](crate::rules) are of. Stripe goes on answering in it.
const VERSION: &str = "2024-06-20";

/// Stripe answers most payments within seconds; banks may take longer.
const TIMEOUT_MS: u32 = 20_000;

/// Something that Stripe keeps and can be asked for again.
pub(crate) trait Object: DeserializeOwned {
    const PATH: &'static str;
    /// What its ids start with.
    const PREFIX: &'static str;

    fn id(&self) -> &str;
}

impl Object for Intent {
    const PATH: &'static str = "/v1/payment_intents";
    const PREFIX: &'static str = "pi_";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Object for Refund {
    const PATH: &'static str = "/v1/refunds";
    // Some payment methods have refunds of their own kind.
    const PREFIX: &'static str = "";

    fn id(&self) -> &str {
        &self.id
    }
}

/// The body of a request.
pub(crate) struct Form(form_urlencoded::Serializer<'static, String>);

impl Default for Form {
    fn default() -> Self {
        Self(form_urlencoded::Serializer::new(String::new()))
    }
}

impl Form {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.0.append_pair(name, value);
    }

    /// What the object is for, so that webhooks tell it.
    pub(crate) fn add_names(&mut self, operation: &Operation) {
        self.add("metadata[order_id]", &operation.order_id);
        self.add("metadata[payment_id]", &operation.payment_id);
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.finish()
    }
}

/// Sends what was written down, for the first time or again. Whether the answer is that of an earlier time.
pub(crate) fn repeat<T: Object>(
    ctx: &Context<'_>,
    operation: &Operation,
    attempt: &Attempt,
) -> Result<(T, bool), Failure> {
    let response = post(ctx, operation, &attempt.path, attempt.form.clone())?;
    let is_old = response.header("idempotent-replayed") == Some("true");
    Ok((read(&response)?, is_old))
}

/// An object as it is now.
pub(crate) fn again<T: Object>(ctx: &Context<'_>, object: &T) -> Result<T, Failure> {
    get(ctx, object.id())
}

/// The payment that an operation refers to.
pub(crate) fn intent(ctx: &Context<'_>, operation: &Operation) -> Result<Intent, Failure> {
    get(ctx, intent_id(operation)?)
}

/// Has Stripe do something to the payment that an operation refers to.
pub(crate) fn act_on_intent(
    ctx: &Context<'_>,
    operation: &Operation,
    verb: &str,
    form: Form,
) -> Result<Intent, Failure> {
    let path = intent_path(operation, verb)?;
    read(&post(ctx, operation, &path, form.finish())?)
}

/// Where something is done to the payment that an operation refers to.
pub(crate) fn intent_path(operation: &Operation, verb: &str) -> Result<String, Failure> {
    Ok(format!("{}/{}/{verb}", Intent::PATH, intent_id(operation)?))
}

/// The id in an operation's reference, which goes into a path.
pub(crate) fn intent_id(operation: &Operation) -> Result<&str, Failure> {
    let reference = operation.reference.as_deref().unwrap_or_default();
    if is_id(reference, Intent::PREFIX) {
        Ok(reference)
    } else {
        Err(Failure::Refused(Problem::not_found().detail("This is no payment of Stripe's.")))
    }
}

/// Whether a text can be an id of Stripe's, and so a part of a path.
pub(crate) fn is_id(text: &str, prefix: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.starts_with(prefix) && (4..=255).contains(&text.len()) && text.bytes().all(is_part)
}

fn get<T: Object>(ctx: &Context<'_>, id: &str) -> Result<T, Failure> {
    let request = Request { method: "GET".to_owned(), ..request(ctx, &format!("{}/{id}", T::PATH)) };
    read(&send(ctx, &request)?)
}

fn post(ctx: &Context<'_>, operation: &Operation, path: &str, form: String) -> Result<Response, Failure> {
    let mut request = request(ctx, path);
    request.method = "POST".to_owned();
    let kind = "application/x-www-form-urlencoded".to_owned();
    request.headers.push(("content-type".to_owned(), kind));
    request.body = form.into_bytes();
    request.idempotency_key = Some(operation.idempotency_key.clone());
    send(ctx, &request)
}

fn request(ctx: &Context<'_>, path: &str) -> Request {
    let config: Config = ctx.config();
    let base = config.api_base.as_deref().unwrap_or("https://api.stripe.com");
    Request {
        url: format!("{base}{path}"),
        headers: vec![("stripe-version".to_owned(), VERSION.to_owned())],
        secret_headers: vec![SecretHeader {
            name: "authorization".to_owned(),
            secret: API_KEY.to_owned(),
            prefix: "Bearer ".to_owned(),
        }],
        timeout_ms: TIMEOUT_MS,
        ..Request::default()
    }
}

/// The answer to a request that Stripe did.
fn send(ctx: &Context<'_>, request: &Request) -> Result<Response, Failure> {
    let response = ctx.http_send(request).map_err(|error| {
        let cause = format!("{error:?}");
        ctx.log(Level::Warn, "Stripe did not answer", &[("cause", &cause)]);
        if error.may_be_sent() {
            Failure::Unknown("Stripe did not answer".to_owned())
        } else {
            Failure::NotDone(Problem::new(503, "unavailable").detail("Stripe cannot be reached."))
        }
    })?;
    let error = match response.status {
        200..=299 => None,
        _ => serde_json::from_slice::<ErrorBody>(&response.body).ok().map(|body| body.error),
    };
    judge(response.status, error.as_ref()).inspect_err(|_| {
        let error = error.clone().unwrap_or_default();
        let fields = [
            ("status", response.status.to_string()),
            ("type", error.kind),
            ("code", error.code.unwrap_or_default()),
            ("param", error.param.unwrap_or_default()),
            // By which Stripe's log finds it.
            ("request", response.header("request-id").unwrap_or_default().to_owned()),
        ];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        ctx.log(Level::Info, "Stripe did not do what it was asked", &fields);
    })?;
    Ok(response)
}

/// An answer that cannot be read says nothing about what was done.
fn read<T: Object>(response: &Response) -> Result<T, Failure> {
    let unreadable = || Failure::Unknown("Stripe answered something that cannot be read".to_owned());
    let object: T = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
    if is_id(object.id(), T::PREFIX) { Ok(object) } else { Err(unreadable()) }
}
