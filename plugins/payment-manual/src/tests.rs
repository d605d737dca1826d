//! The provider against a mock host.

use plugin_sdk::{
    Context, Money, Value, json,
    mock::MockHost,
    payment::{Kind, Operation, Outcome, PaymentError, PaymentProvider as _, State, Webhook},
};
use proptest::prelude::*;

use crate::PaymentManual;

type Verb = fn(&Context<'_>, &Operation) -> Result<Outcome, PaymentError>;

fn operation(amount: i64) -> Operation {
    Operation {
        order_id: "ord_1".to_owned(),
        payment_id: "pay_1".to_owned(),
        reference: None,
        amount: Money::new(amount, "EUR"),
        token: None,
        idempotency_key: "key_1".to_owned(),
    }
}

fn ask(config: &Value, verb: Verb, operation: &Operation) -> Result<Outcome, PaymentError> {
    verb(&Context::new(&MockHost::empty(), config.to_string().as_bytes()), operation)
}

#[test]
fn an_authorization_is_good_and_says_how_to_pay() {
    let config = json!({"title": "Bank transfer", "instructions": "Pay to NL00 with {reference}."});
    let outcome = ask(&config, PaymentManual::authorize, &operation(1290)).unwrap();
    assert_eq!(outcome.state, State::Offline);
    assert!(!outcome.captured);
    let expected = json!({
        "type": "instructions",
        "title": "Bank transfer",
        "text": format!("Pay to NL00 with {}.", outcome.reference),
        "reference": outcome.reference,
    });
    assert_eq!(outcome.next_action, Some(expected));
    assert_eq!(ask(&config, PaymentManual::authorize, &operation(1290)).unwrap(), outcome);
}

#[test]
fn without_configuration_nothing_is_said() {
    let outcome = ask(&json!({}), PaymentManual::authorize, &operation(1290)).unwrap();
    assert_eq!((outcome.state, outcome.next_action), (State::Offline, None));
    let unconfigured = PaymentManual::authorize(&Context::new(&MockHost::empty(), b""), &operation(1));
    assert_eq!(unconfigured.unwrap().next_action, None);
}

#[test]
fn what_staff_say_is_so() {
    let known = Operation { reference: Some("MP-1".to_owned()), ..operation(1290) };
    for verb in [PaymentManual::capture as Verb, PaymentManual::refund, PaymentManual::void] {
        assert_eq!(ask(&json!({}), verb, &known), Ok(Outcome::new(State::Succeeded, "MP-1")));
    }
}

#[test]
fn the_status_is_what_was_answered() {
    let config = json!({"instructions": "Pay."});
    for kind in Kind::ALL {
        let verb: Verb = match kind {
            Kind::Authorization => PaymentManual::authorize,
            Kind::Capture => PaymentManual::capture,
            Kind::Refund => PaymentManual::refund,
            Kind::Void => PaymentManual::void,
        };
        let answered = ask(&config, verb, &operation(5)).unwrap();
        let host = MockHost::empty();
        let config = config.to_string();
        let status =
            PaymentManual::status(&Context::new(&host, config.as_bytes()), kind, &operation(5)).unwrap();
        assert_eq!(status, answered);
    }
}

#[test]
fn amounts_are_above_zero() {
    for amount in [0, -1, i64::MIN] {
        for verb in [PaymentManual::authorize as Verb, PaymentManual::capture, PaymentManual::refund] {
            match ask(&json!({}), verb, &operation(amount)) {
                Err(PaymentError::Invalid(problem)) => assert_eq!(problem.code, "amount_out_of_range"),
                other => panic!("{other:?}"),
            }
        }
    }
    // Whose payment is given up has no matter with its amount.
    assert!(ask(&json!({}), PaymentManual::void, &operation(0)).is_ok());
}

#[test]
fn there_are_no_webhooks() {
    let host = MockHost::empty();
    assert!(PaymentManual::parse_webhook(&Context::new(&host, b""), &Webhook::default()).is_err());
}

proptest! {
    #[test]
    fn a_reference_can_be_typed_whatever_the_payment(payment in ".{0,64}", instructions in ".{1,64}") {
        let operation = Operation { payment_id: payment, ..operation(1) };
        let config = json!({"instructions": instructions});
        let reference = ask(&config, PaymentManual::authorize, &operation).unwrap().reference;
        prop_assert_eq!(reference.len(), 17);
        prop_assert!(reference.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '-'));
    }
}
