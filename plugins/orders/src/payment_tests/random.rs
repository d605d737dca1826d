//! Whatever happens in whatever order: nothing leaks, and nobody pays twice.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Checkout {
        cart: usize,
        key: usize,
    },
    /// The customer does what was asked at the gateway, which may tell of it.
    Complete {
        order: usize,
        is_good: bool,
        is_told: bool,
    },
    /// The gateway tells of something again.
    Repeat {
        order: usize,
    },
    Settle,
    Cancel {
        order: usize,
    },
    Move {
        operation: &'static str,
        order: usize,
        key: usize,
        amount: Option<i64>,
    },
    Pay {
        order: usize,
        key: usize,
    },
    Wait {
        minutes: i64,
    },
}

/// What is done, what happens at the same time before one of its commits, and how the gateway is.
#[derive(Debug, Clone)]
struct Step {
    act: Act,
    meanwhile: Option<(usize, Meanwhile)>,
    moods: Vec<Mood>,
}

#[derive(Debug, Clone)]
enum Meanwhile {
    Death,
    Act(Act),
}

const CARTS_MAX: usize = 5;

fn act() -> impl Strategy<Value = Act> {
    let order = 0..CARTS_MAX * 2;
    let key = 0..3_usize;
    let amount = prop_oneof![Just(None), (1..3_000_i64).prop_map(Some)];
    let operation = prop_oneof![
        Just("capturePayment"),
        Just("capturePayment"),
        Just("refundPayment"),
        Just("voidPayment"),
        Just("syncPayment"),
    ];
    prop_oneof![
        4 => (0..CARTS_MAX, key.clone()).prop_map(|(cart, key)| Act::Checkout { cart, key }),
        2 => (order.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(order, is_good, is_told)| Act::Complete { order, is_good, is_told }),
        1 => order.clone().prop_map(|order| Act::Repeat { order }),
        3 => Just(Act::Settle),
        1 => order.clone().prop_map(|order| Act::Cancel { order }),
        4 => (operation, order.clone(), key.clone(), amount)
            .prop_map(|(operation, order, key, amount)| Act::Move { operation, order, key, amount }),
        1 => (order, key).prop_map(|(order, key)| Act::Pay { order, key }),
        2 => (1..15_i64).prop_map(|minutes| Act::Wait { minutes }),
    ]
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Good),
        1 => Just(Mood::Captures),
        1 => Just(Mood::Declines),
        2 => Just(Mood::WantsAction),
        1 => Just(Mood::TellsLater),
        2 => Just(Mood::SilentAfter),
        2 => Just(Mood::SilentBefore),
        1 => Just(Mood::Away),
        1 => Just(Mood::DiesAfter),
        1 => Just(Mood::DiesBefore),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let meanwhile = prop_oneof![
        1 => Just(Meanwhile::Death),
        3 => act().prop_map(Meanwhile::Act),
    ];
    let meanwhile = proptest::option::of((0..3_usize, meanwhile));
    (act(), meanwhile, proptest::collection::vec(mood(), 0..3)).prop_map(|(act, meanwhile, moods)| Step {
        act,
        meanwhile,
        moods,
    })
}

/// The calls of an act; waiting has none.
fn requests(shop: &Shop, carts: &[String], act: &Act) -> Vec<Request> {
    let orders = shop.orders();
    let order = |index: usize| orders.get(index % orders.len().max(1));
    let payment = |index: usize| order(index).and_then(|order| order.order.payments.last()).cloned();
    let told = |index: usize| {
        let payment = payment(index)?;
        let mut request = shop.request("receivePaymentWebhook", "pay", "", &Value::Null);
        request.body = payment.id.into_bytes();
        Some(request)
    };
    match act {
        Act::Checkout { cart, key } => {
            let key = format!("{cart} {key}");
            vec![shop.request("createOrder", "", &key, &order_of(&carts[*cart]))]
        }
        Act::Complete { order, is_good, is_told } => {
            let Some(payment) = payment(*order) else { return Vec::new() };
            let is_asked = shop.gateway.borrow_mut().complete(&payment.id, *is_good);
            if is_asked && *is_told { told(*order).into_iter().collect() } else { Vec::new() }
        }
        Act::Repeat { order } => told(*order).into_iter().collect(),
        Act::Settle => {
            let system = Caller { kind: "system".to_owned(), ..Caller::default() };
            vec![Request { caller: system, ..shop.request("settleOrders", "", "", &Value::Null) }]
        }
        Act::Cancel { order: index } => {
            let order = order(*index).map(|order| order.order.id.clone());
            order.map(|id| shop.request("cancelOrder", &id, "x", &Value::Null)).into_iter().collect()
        }
        Act::Move { operation, order, key, amount } => {
            let takes_amount = ["capturePayment", "refundPayment"].contains(operation);
            let body = amount.filter(|_| takes_amount).map_or(Value::Null, |it| json!({"amount": usd(it)}));
            let key = format!("{key} {body}");
            payment(*order).map(|it| shop.request(operation, &it.id, &key, &body)).into_iter().collect()
        }
        Act::Pay { order: index, key } => {
            let order = order(*index).map(|order| order.order.id.clone());
            let body = json!({"provider": "pay"});
            order.map(|id| shop.request("payOrder", &id, &key.to_string(), &body)).into_iter().collect()
        }
        Act::Wait { minutes } => {
            shop.advance(minutes * MINUTE_MS);
            Vec::new()
        }
    }
}

/// What the gateway says of a payment, as a webhook whose body is the payment's id.
fn read_webhooks(shop: &Shop) {
    let gateway = Rc::clone(&shop.gateway);
    shop.host.read_webhooks(move |webhook| {
        let payment = String::from_utf8(webhook.body.clone()).unwrap();
        let gateway = gateway.borrow();
        let authorization = natural_id("txn", &payment);
        let Some(Ok(outcome)) = gateway.answers.get(&authorization) else { return Ok(Vec::new()) };
        let id = format!("{payment} {}", outcome.state.as_str());
        let outcome = outcome.clone();
        let payment_id = Some(payment);
        Ok(vec![plugin_sdk::payment::Notice {
            id,
            kind: Kind::Authorization,
            payment_id,
            outcome,
            amount: None,
        }])
    });
}

fn play(steps: &[Step]) {
    let shop = Shop::new();
    read_webhooks(&shop);
    let carts: Vec<String> = (0..CARTS_MAX)
        .map(|number| match number % 3 {
            0 => shop.cart(&[("A", 4)], &json!({})),
            1 => shop.cart(&[("B", 3), ("A", 1)], &json!({})),
            _ => shop.cart(&[("FREE", 1), ("B", 2)], &json!({})),
        })
        .collect();
    for step in steps {
        shop.moods(&step.moods);
        match &step.meanwhile {
            Some((commit, Meanwhile::Death)) => {
                shop.host.before_commit(*commit, |_| panic!("the host dies before a commit"));
            }
            Some((commit, Meanwhile::Act(act))) => {
                let requests = requests(&shop, &carts, act);
                shop.host.before_commit(*commit, move |host| {
                    for request in requests {
                        drop(host.call::<Orders>(request));
                    }
                });
            }
            None => {}
        }
        for request in requests(&shop, &carts, &step.act) {
            shop.survives(request);
        }
        shop.moods(&[]);
        // What was to happen at a commit that never came.
        (0..3).for_each(|commit| shop.host.before_commit(commit, |_| {}));
        shop.check();
    }
    // The gateway tells in the end; customers may never come back.
    for payment in shop.orders().iter().flat_map(|order| &order.order.payments) {
        if payment.next_action.is_none() {
            shop.gateway.borrow_mut().complete(&payment.id, true);
        }
    }
    shop.wait_out();
    shop.check_settled();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_leaks_and_nobody_pays_twice(steps in proptest::collection::vec(step(), 1..25)) {
        play(&steps);
    }
}
