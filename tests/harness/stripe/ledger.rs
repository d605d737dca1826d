//! What the server remembers, and what it does with a request.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    API_KEY, Call, Came,
    answer::{Answer, card_error},
};

/// Stripe takes eight digits.
const AMOUNT_MAX: i64 = 99_999_999;

/// Least amounts. Of other currencies this server takes any.
const AMOUNT_MIN: [(&str, i64); 4] = [("usd", 50), ("eur", 50), ("gbp", 30), ("jpy", 50)];

const CREATE_PARAMS: [&str; 9] = [
    "amount",
    "currency",
    "capture_method",
    "confirm",
    "payment_method",
    "automatic_payment_methods[enabled]",
    "automatic_payment_methods[allow_redirects]",
    "return_url",
    "statement_descriptor_suffix",
];

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) requests: Vec<Came>,
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) refunds_take_time: bool,
    intents: Vec<Intent>,
    refunds: Vec<Refund>,
    last_id: u64,
}

/// What an idempotency key was used for. Without an answer the request is still running.
pub(super) struct Key {
    fingerprint: String,
    answer: Option<Answer>,
}

pub(super) struct Intent {
    id: String,
    amount: i64,
    currency: String,
    capture_method: String,
    status: &'static str,
    payment_method: String,
    return_url: Option<String>,
    metadata: Map<String, Value>,
    last_error: Option<Value>,
    /// Whether the card was charged, at least for the time being.
    pub(super) charged: bool,
    pub(super) received: i64,
    pub(super) refunded: i64,
}

struct Refund {
    id: String,
    intent: String,
    amount: i64,
    currency: String,
    status: String,
    metadata: Map<String, Value>,
}

/// An answer of its own kind, when something is wrong.
type Checked<T> = Result<T, Answer>;

impl Ledger {
    pub(super) fn of_order(&self, order_id: &str) -> impl Iterator<Item = &Intent> {
        self.intents.iter().filter(move |intent| intent.metadata.get("order_id") == Some(&json!(order_id)))
    }

    pub(super) fn refunds_of_order(&self, order_id: &str) -> Vec<String> {
        let of_order = |refund: &&Refund| self.of_order(order_id).any(|intent| intent.id == refund.intent);
        self.refunds.iter().filter(of_order).map(|refund| refund.id.clone()).collect()
    }

    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.last_id += 1;
        format!("{prefix}_harness{}", self.last_id)
    }

    /// Does what a request asks, once per key.
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        if call.authorization.as_deref() != Some(&format!("Bearer {API_KEY}")) {
            return Answer::unauthorized();
        }
        if call.method == Method::GET {
            return self.read(&call.path).unwrap_or_else(|refused| refused);
        }
        let Some(key) = &call.key else {
            return Answer::invalid("", "", "This server wants an Idempotency-Key.");
        };
        if !call.is_form {
            return Answer::invalid("", "", "This server wants a form.");
        }
        match self.keys.get(key) {
            Some(used) if used.fingerprint != call.fingerprint() => return Answer::key_reused(),
            Some(Key { answer: Some(answer), .. }) => return Answer { is_replay: true, ..answer.clone() },
            Some(Key { answer: None, .. }) => return Answer::key_in_use(),
            None => {}
        }
        match self.write(call) {
            Ok(answer) => {
                let kept = Key { fingerprint: call.fingerprint(), answer: Some(answer.clone()) };
                self.keys.insert(key.clone(), kept);
                answer
            }
            // What is refused before anything is done is no result that a key stands for.
            Err(refused) => refused,
        }
    }

    /// Takes the request's key. Whether it was free.
    pub(super) fn run(&mut self, call: &Call) -> bool {
        let Some(key) = call.key.as_ref().filter(|key| !self.keys.contains_key(*key)) else { return false };
        self.keys.insert(key.clone(), Key { fingerprint: call.fingerprint(), answer: None });
        true
    }

    /// Gives the key back, to be answered.
    pub(super) fn stop(&mut self, call: &Call) {
        if let Some(key) = &call.key {
            self.keys.remove(key);
        }
    }

    /// Changes what repeats are answered.
    pub(super) fn replace_answer(&mut self, call: &Call, answer: Answer) {
        if let Some(used) = call.key.as_ref().and_then(|key| self.keys.get_mut(key)) {
            used.answer = Some(answer);
        }
    }

    pub(super) fn complete(&mut self, id: &str, is_good: bool) {
        let intent = self.intents.iter_mut().find(|intent| intent.id == id).expect("an intent");
        assert_eq!(intent.status, "requires_action", "nothing is asked of the customer");
        intent.charge(is_good.then_some(()).ok_or("authentication_required"));
    }

    pub(super) fn settle(&mut self, id: &str, status: &str) {
        let refund = self.refunds.iter_mut().find(|refund| refund.id == id).expect("a refund");
        assert_eq!(refund.status, "pending", "the refund is over");
        status.clone_into(&mut refund.status);
        if status == "failed" {
            let (intent, amount) = (refund.intent.clone(), refund.amount);
            let intent = self.intents.iter_mut().find(|it| it.id == intent).expect("its intent");
            intent.refunded -= amount;
        }
    }

    /// The object of an event, and what it was before.
    pub(super) fn object(&self, kind: &str, about: &str) -> (Value, Value) {
        if let Some(refund) = self.refunds.iter().find(|refund| refund.id == about) {
            return (refund.json(), json!({}));
        }
        let intent = self.intents.iter().find(|intent| intent.id == about).expect("an intent or a refund");
        if kind != "charge.refunded" {
            return (intent.json(), json!({}));
        }
        let last = self.refunds.iter().rfind(|refund| refund.intent == intent.id).expect("a refund");
        let charge = json!({
            "id": intent.id.replace("pi_", "ch_"), "object": "charge", "amount": intent.amount,
            "amount_captured": intent.received, "amount_refunded": intent.refunded,
            "currency": intent.currency, "payment_intent": intent.id, "metadata": intent.metadata,
            "refunded": intent.refunded == intent.received,
        });
        (charge, json!({"amount_refunded": intent.refunded - last.amount}))
    }

    fn read(&self, path: &str) -> Checked<Answer> {
        let missing =
            |what: &str, id: &str, param: &str| Answer { status: 404, ..Answer::missing(what, id, param) };
        match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["v1", "payment_intents", id] => {
                let intent = self.intents.iter().find(|intent| intent.id == id);
                Ok(Answer::ok(intent.ok_or_else(|| missing("payment_intent", id, "intent"))?.json()))
            }
            ["v1", "refunds", id] => {
                let refund = self.refunds.iter().find(|refund| refund.id == id);
                Ok(Answer::ok(refund.ok_or_else(|| missing("refund", id, "refund"))?.json()))
            }
            _ => Err(unrecognized()),
        }
    }

    fn write(&mut self, call: &Call) -> Checked<Answer> {
        if call.method != Method::POST {
            return Err(unrecognized());
        }
        match call.path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["v1", "payment_intents"] => self.create(call),
            ["v1", "payment_intents", id, "capture"] => self.capture(call, id),
            ["v1", "payment_intents", id, "cancel"] => self.cancel(call, id),
            ["v1", "refunds"] => self.refund(call),
            _ => Err(unrecognized()),
        }
    }

    fn create(&mut self, call: &Call) -> Checked<Answer> {
        call.allow(&CREATE_PARAMS)?;
        let currency = call.required("currency")?.to_owned();
        let amount = call.amount("amount", &currency)?;
        let least = AMOUNT_MIN.iter().find(|(it, _)| *it == currency).map_or(1, |(_, least)| *least);
        if amount < least {
            return Err(Answer::invalid("amount_too_small", "amount", "The amount is below the minimum."));
        }
        let method = call.required("payment_method")?.to_owned();
        let return_url = call.param("return_url").map(str::to_owned);
        let redirects = call.param("automatic_payment_methods[allow_redirects]") != Some("never");
        if call.param("automatic_payment_methods[enabled]") == Some("true")
            && redirects
            && return_url.is_none()
        {
            return Err(Answer::invalid("", "return_url", "Some payment methods need a `return_url`."));
        }
        if call.required("confirm")? != "true" {
            return Err(Answer::invalid("", "confirm", "This server confirms at once."));
        }
        let mut intent = Intent {
            id: self.id("pi"),
            amount,
            currency,
            capture_method: call.param("capture_method").unwrap_or("automatic").to_owned(),
            status: "requires_payment_method",
            payment_method: method.clone(),
            return_url,
            metadata: call.metadata(),
            last_error: None,
            charged: false,
            received: 0,
            refunded: 0,
        };
        // The names of Stripe's own test cards.
        match method.as_str() {
            "pm_card_visa" | "pm_card_mastercard" => intent.charge(Ok(())),
            "pm_card_chargeDeclined" => intent.charge(Err("generic_decline")),
            "pm_card_visa_chargeDeclinedInsufficientFunds" => intent.charge(Err("insufficient_funds")),
            "pm_card_authenticationRequired" | "pm_card_threeDSecure2Required" => {
                intent.status = "requires_action"
            }
            "pm_usBankAccount" => intent.status = "processing",
            _ => return Err(Answer::missing("PaymentMethod", &method, "payment_method")),
        }
        let (shown, declined) = (intent.json(), intent.last_error.clone());
        self.intents.push(intent);
        Ok(match declined {
            Some(error) => Answer::declined(error["decline_code"].as_str().unwrap_or_default(), &shown),
            None => Answer::ok(shown),
        })
    }

    fn capture(&mut self, call: &Call, id: &str) -> Checked<Answer> {
        call.allow(&["amount_to_capture"])?;
        let intent = self.intent(id)?;
        if intent.status != "requires_capture" {
            return Err(intent.unexpected_state());
        }
        let amount = match call.param("amount_to_capture") {
            Some(_) => call.amount("amount_to_capture", &intent.currency)?,
            None => intent.amount,
        };
        if amount > intent.amount {
            let message = "The requested capture amount is greater than the amount you can capture.";
            return Err(Answer::invalid("amount_too_large", "amount_to_capture", message));
        }
        (intent.status, intent.received) = ("succeeded", amount);
        Ok(Answer::ok(intent.json()))
    }

    fn cancel(&mut self, call: &Call, id: &str) -> Checked<Answer> {
        call.allow(&["cancellation_reason"])?;
        let intent = self.intent(id)?;
        if matches!(intent.status, "succeeded" | "canceled" | "processing") {
            return Err(intent.unexpected_state());
        }
        intent.status = "canceled";
        Ok(Answer::ok(intent.json()))
    }

    fn refund(&mut self, call: &Call) -> Checked<Answer> {
        call.allow(&["payment_intent", "amount", "reason"])?;
        let refund_id = self.id("re");
        let status = if self.refunds_take_time { "pending" } else { "succeeded" };
        let id = call.required("payment_intent")?;
        let intent = self
            .intents
            .iter_mut()
            .find(|intent| intent.id == id)
            .ok_or_else(|| Answer::missing("payment_intent", id, "payment_intent"))?;
        let left = intent.received - intent.refunded;
        if intent.received == 0 {
            let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
            return Err(Answer::invalid("", "payment_intent", &message));
        }
        if left == 0 {
            return Err(Answer::invalid(
                "charge_already_refunded",
                "",
                "The charge has already been refunded.",
            ));
        }
        let amount = match call.param("amount") {
            Some(_) => call.amount("amount", &intent.currency)?,
            None => left,
        };
        if amount > left {
            return Err(Answer::invalid(
                "",
                "amount",
                "Refund amount is greater than unrefunded amount on charge.",
            ));
        }
        intent.refunded += amount;
        let refund = Refund {
            id: refund_id,
            intent: intent.id.clone(),
            amount,
            currency: intent.currency.clone(),
            status: status.to_owned(),
            metadata: call.metadata(),
        };
        let shown = refund.json();
        self.refunds.push(refund);
        Ok(Answer::ok(shown))
    }

    fn intent(&mut self, id: &str) -> Checked<&mut Intent> {
        let intent = self.intents.iter_mut().find(|intent| intent.id == id);
        intent.ok_or_else(|| Answer { status: 404, ..Answer::missing("payment_intent", id, "intent") })
    }
}

impl Intent {
    fn charge(&mut self, outcome: Result<(), &str>) {
        match outcome {
            Ok(()) if self.capture_method == "manual" => {
                (self.status, self.charged) = ("requires_capture", true)
            }
            Ok(()) => (self.status, self.charged, self.received) = ("succeeded", true, self.amount),
            Err(decline_code) => {
                self.status = "requires_payment_method";
                self.last_error = Some(card_error(decline_code));
            }
        }
    }

    fn unexpected_state(&self) -> Answer {
        let message =
            format!("This PaymentIntent is in the state {}, in which this cannot be done.", self.status);
        let mut answer = Answer::invalid("payment_intent_unexpected_state", "", &message);
        answer.body["error"]["payment_intent"] = self.json();
        answer
    }

    pub(super) fn json(&self) -> Value {
        let action = match &self.return_url {
            _ if self.status != "requires_action" => Value::Null,
            Some(back) => {
                let url = format!("https://hooks.stripe.example/redirect/{}", self.id);
                json!({"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": back}})
            }
            None => json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}),
        };
        let capturable = if self.status == "requires_capture" { self.amount } else { 0 };
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": capturable,
            "amount_received": self.received,
            "capture_method": self.capture_method,
            "client_secret": format!("{}_secret_harness", self.id),
            "confirmation_method": "automatic",
            "currency": self.currency,
            "last_payment_error": self.last_error,
            "latest_charge": self.charged.then(|| self.id.replace("pi_", "ch_")),
            "livemode": false,
            "metadata": self.metadata,
            "next_action": action,
            "payment_method": self.payment_method,
            "status": self.status,
        })
    }
}

impl Refund {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "charge": self.intent.replace("pi_", "ch_"),
            "currency": self.currency,
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "reason": null,
            "status": self.status,
            "failure_reason": (self.status == "failed").then_some("unknown"),
        })
    }
}

impl Call {
    fn param(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Checked<&str> {
        let message = format!("Missing required param: {name}.");
        self.param(name).ok_or_else(|| Answer::invalid("parameter_missing", name, &message))
    }

    /// Refuses parameters that Stripe does not know, and those that come twice.
    fn allow(&self, known: &[&str]) -> Checked<()> {
        for (index, (name, _)) in self.form.iter().enumerate() {
            let is_metadata = name.starts_with("metadata[") && name.ends_with(']');
            if !is_metadata && !known.contains(&name.as_str()) {
                let message = format!("Received unknown parameter: {name}");
                return Err(Answer::invalid("parameter_unknown", name, &message));
            }
            if self.form[..index].iter().any(|(it, _)| it == name) {
                return Err(Answer::invalid("", name, "The parameter comes twice."));
            }
        }
        Ok(())
    }

    fn amount(&self, name: &str, currency: &str) -> Checked<i64> {
        let invalid = |code: &str, message: &str| Answer::invalid(code, name, message);
        let amount = self.required(name)?;
        let amount: i64 =
            amount.parse().map_err(|_| invalid("parameter_invalid_integer", "Invalid integer"))?;
        if amount < 1 {
            return Err(invalid(
                "parameter_invalid_integer",
                "This value must be greater than or equal to 1.",
            ));
        }
        if amount > AMOUNT_MAX {
            return Err(invalid("amount_too_large", "The amount has more than eight digits."));
        }
        let step = match currency {
            "isk" | "ugx" => 100,
            "bhd" | "jod" | "kwd" | "omr" | "tnd" => 10,
            _ => 1,
        };
        if amount % step != 0 {
            return Err(invalid("", "Invalid amount. Its last digits must be 0 in this currency."));
        }
        if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_lowercase()) {
            return Err(Answer::invalid(
                "",
                "currency",
                "Invalid currency. It is three letters in lower case.",
            ));
        }
        Ok(amount)
    }

    fn metadata(&self) -> Map<String, Value> {
        let name = |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
        self.form.iter().filter_map(|(it, value)| Some((name(it)?, json!(value)))).collect()
    }

    /// What has to be the same under one key.
    fn fingerprint(&self) -> String {
        let mut form = self.form.clone();
        form.sort();
        format!("{} {} {form:?}", self.method, self.path)
    }
}

fn unrecognized() -> Answer {
    Answer { status: 404, ..Answer::invalid("", "", "Unrecognized request URL.") }
}
