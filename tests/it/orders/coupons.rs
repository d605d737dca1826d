//! A coupon is used as often as it may be and not once more, however many try at once, and what is given up gives it back.

use futures_util::{future::join_all, join};
use hyper::Method;
use platform_tests::{
    checkout::{Shopper, key, sell},
    client::{Answer, Client},
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{documents, id, with},
    sizes::DUELS,
    wait::eventually,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    of_many_who_want_the_last_use_one_has_it,
    of_many_orders_of_one_customer_one_has_it,
    an_account_and_a_guest_with_its_address_are_one_customer,
    whoever_gives_up_gives_the_use_back,
    what_is_declined_or_expires_gives_the_use_back,
    a_use_that_is_given_back_is_had_once,
    a_limit_that_is_lowered_counts_what_was_used,
);

/// How many try at once.
const MANY: usize = 8;

fn shop() -> TestHostBuilder {
    // The coupon of the shipped file, and one beside it.
    TestHostBuilder::shop().patient()
}

/// A coupon that takes 10 % off, and is limited so.
async fn coupon(admin: &Client, code: &str, limits: Value) -> String {
    let mut coupon = json!({"code": code, "ruleId": "welcome"});
    coupon.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    id(&admin.post("/coupons", &coupon).await.expect(201)).to_owned()
}

async fn used(admin: &Client, coupon: &str) -> i64 {
    admin.get(&format!("/coupons/{coupon}")).await.expect(200)["used"].as_i64().unwrap()
}

/// A cup in a cart with this coupon.
async fn with_coupon(client: &Client, code: &str) -> Shopper {
    let shopper = Shopper::with(client.clone(), &[("CUP", 1)]).await;
    let cart = shopper.send(Method::POST, "/coupons", &json!({ "code": code })).await.expect(200);
    assert_eq!(cart["totals"]["discount"]["amount"], -129, "{cart}");
    shopper
}

/// The body of an order of somebody with this address.
fn order_of(shopper: &Shopper, email: &str) -> Value {
    with(shopper.order("tok_approve"), "email", email)
}

/// Asserts that one of the answers is an order with the coupon, and that the others tell why not. Answers the order.
#[track_caller]
fn one_has_it(answers: Vec<Answer>, code: &str) -> Value {
    let mut orders = Vec::new();
    for answer in answers {
        if answer.status == 201 {
            orders.push(answer.json());
            continue;
        }
        let problem = answer.expect_problem(409, "coupon_exhausted");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`{code}`")), "{problem}");
    }
    assert_eq!(orders.len(), 1, "{orders:#?}");
    let order = orders.remove(0);
    assert_eq!((&order["coupons"], &order["totals"]["discount"]["amount"]), (&json!([code]), &json!(-129)));
    order
}

async fn available(admin: &Client) -> i64 {
    admin.get("/inventory/CUP").await.expect(200)["available"].as_i64().unwrap()
}

async fn of_many_who_want_the_last_use_one_has_it(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1_000).await;
    for round in 0..DUELS.get() {
        let code = format!("LAST{round}");
        let coupon = coupon(&admin, &code, json!({"limit": 1})).await;
        let before = available(&admin).await;
        let client = host.anonymous();
        let guests = join_all((0..MANY).map(|_| with_coupon(&client, &code))).await;
        let ordering = guests.iter().enumerate().map(|(number, guest)| async move {
            let name = key(&format!("last-{round}-{number}"));
            guest.checkout(&name, &order_of(guest, &format!("guest-{number}@example.com"))).await
        });
        one_has_it(join_all(ordering).await, &code);
        assert_eq!((used(&admin, &coupon).await, available(&admin).await), (1, before - 1));
        // Whoever did not get it buys without it.
        let late = host.anonymous();
        let late = Shopper::with(late, &[("CUP", 1)]).await;
        let refused = late.send(Method::POST, "/coupons", &json!({ "code": code })).await;
        refused.expect_problem(409, "coupon_exhausted");
    }
    conservation::check(&host).await;
}

async fn of_many_orders_of_one_customer_one_has_it(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1_000).await;
    for round in 0..DUELS.get() {
        let code = format!("EACH{round}");
        let coupon = coupon(&admin, &code, json!({"perCustomer": 1})).await;
        let client = host.anonymous();
        let guests = join_all((0..MANY).map(|_| with_coupon(&client, &code))).await;
        // One person, in several spellings.
        let ordering = guests.iter().enumerate().map(|(number, guest)| async move {
            let email = ["ada@example.com", "Ada@Example.com", "ADA@EXAMPLE.COM"][number % 3];
            guest.checkout(&key(&format!("each-{round}-{number}")), &order_of(guest, email)).await
        });
        one_has_it(join_all(ordering).await, &code);
        assert_eq!(used(&admin, &coupon).await, 1);
        // Somebody else has a use of their own.
        let other = with_coupon(&client, &code).await;
        let order = order_of(&other, "bob@example.com");
        other.checkout(&key(&format!("other-{round}")), &order).await.expect(201);
        assert_eq!(used(&admin, &coupon).await, 2);
    }
    conservation::check(&host).await;
}

async fn an_account_and_a_guest_with_its_address_are_one_customer(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let coupon = coupon(&admin, "ONCE", json!({"perCustomer": 1})).await;
    let eve = host.customer("eve@example.com").await;
    let own = with_coupon(&eve, "ONCE").await;
    let client = host.anonymous();
    let guests = join_all((0..3).map(|_| with_coupon(&client, "ONCE"))).await;
    let as_guest = guests.iter().enumerate().map(|(number, guest)| async move {
        guest.checkout(&key(&format!("guest-{number}")), &order_of(guest, "eve@example.com")).await
    });
    let body = order_of(&own, "eve@example.com");
    let (mut answers, as_customer) = join!(join_all(as_guest), own.checkout("own", &body));
    answers.push(as_customer);
    one_has_it(answers, "ONCE");
    assert_eq!(used(&admin, &coupon).await, 1);
    conservation::check(&host).await;
}

async fn voided(admin: &Client, order: &Value) {
    eventually("the money is given back", async || {
        admin.get(&format!("/orders/{}", id(order))).await.expect(200)["paymentStatus"] == "voided"
    })
    .await;
}

async fn whoever_gives_up_gives_the_use_back(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let coupon = coupon(&admin, "ONCE", json!({"limit": 1, "perCustomer": 1})).await;
    let client = host.anonymous();
    let (first, second) = (with_coupon(&client, "ONCE").await, with_coupon(&client, "ONCE").await);
    let order = first.checkout(&key("first"), &order_of(&first, "ada@example.com")).await.expect(201);
    second
        .checkout(&key("second"), &order_of(&second, "ada@example.com"))
        .await
        .expect_problem(409, "coupon_exhausted");
    admin.post(&format!("/orders/{}/cancel", id(&order)), &json!({})).await.expect(200);
    assert_eq!(used(&admin, &coupon).await, 0);
    // Once: a repeat is refused, and gives back nothing.
    let again = admin.post(&format!("/orders/{}/cancel", id(&order)), &json!({})).await;
    again.expect_problem(409, "invalid_transition");
    assert_eq!(used(&admin, &coupon).await, 0);
    second.checkout(&key("second"), &order_of(&second, "ada@example.com")).await.expect(201);
    assert_eq!(used(&admin, &coupon).await, 1);
    let uses = documents(&host, "coupon_uses").await;
    assert!(uses.values().all(|it| it["used"] == 1 && it["customer"] == "ada@example.com"), "{uses:?}");
    voided(&admin, &order).await;
    conservation::check(&host).await;
}

async fn what_is_declined_or_expires_gives_the_use_back(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let coupon = coupon(&admin, "ONCE", json!({"limit": 1})).await;
    let client = host.anonymous();
    let guest = with_coupon(&client, "ONCE").await;
    let declined = guest.checkout(&key("declined"), &guest.order("tok_decline")).await;
    declined.expect_problem(402, "payment_declined");
    assert_eq!(used(&admin, &coupon).await, 0);
    // While it is not known whether it is paid, the use is taken.
    let waiting = guest.checkout(&key("waiting"), &guest.order("tok_action")).await.expect(202);
    assert_eq!(used(&admin, &coupon).await, 1);
    let path = format!("/orders/{}", id(&waiting));
    host.clock.advance(std::time::Duration::from_secs(601));
    eventually("the order has expired", async || admin.get(&path).await.expect(200)["status"] == "expired")
        .await;
    assert_eq!(used(&admin, &coupon).await, 0);
    let order = guest.checkout(&key("paid"), &guest.order("tok_approve")).await.expect(201);
    assert_eq!((&order["coupons"], used(&admin, &coupon).await), (&json!(["ONCE"]), 1));
    conservation::check(&host).await;
}

/// One cancels what has the last use while others order with it: in the end the uses are those of the orders that are.
async fn a_use_that_is_given_back_is_had_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1_000).await;
    let client = host.anonymous();
    let (mut taken_over, mut refused) = (0, 0);
    for round in 0..DUELS.get() {
        let code = format!("DUEL{round}");
        let coupon = coupon(&admin, &code, json!({"limit": 1, "perCustomer": 1})).await;
        let holder = with_coupon(&client, &code).await;
        let others = join_all((0..3).map(|_| with_coupon(&client, &code))).await;
        let held =
            holder.checkout(&key(&format!("held-{round}")), &holder.order("tok_approve")).await.expect(201);
        let (cancel, nothing) = (format!("/orders/{}/cancel", id(&held)), json!({}));
        let cancelling = admin.post(&cancel, &nothing);
        let ordering = others.iter().enumerate().map(|(number, other)| async move {
            let email = format!("guest-{number}@example.com");
            other.checkout(&key(&format!("other-{round}-{number}")), &order_of(other, &email)).await
        });
        let (cancelled, answers) = join!(cancelling, join_all(ordering));
        assert_eq!(cancelled.expect(200)["status"], "cancelled");
        let mut orders = 0;
        for answer in answers {
            if answer.status == 201 {
                orders += 1;
            } else {
                answer.expect_problem(409, "coupon_exhausted");
                refused += 1;
            }
        }
        assert!(orders <= 1, "round {round}: {orders} orders have one use");
        assert_eq!(used(&admin, &coupon).await, orders, "round {round}");
        taken_over += orders;
        if orders == 0 {
            // It is there for whoever comes next.
            let next = order_of(&others[0], "guest-0@example.com");
            others[0].checkout(&key(&format!("next-{round}")), &next).await.expect(201);
            assert_eq!(used(&admin, &coupon).await, 1);
        }
        voided(&admin, &held).await;
        conservation::check(&host).await;
    }
    assert!(taken_over + refused > 0);
}

async fn a_limit_that_is_lowered_counts_what_was_used(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1_000).await;
    let coupon = coupon(&admin, "FEWER", json!({"limit": 5})).await;
    let client = host.anonymous();
    let guests = join_all((0..6).map(|_| with_coupon(&client, "FEWER"))).await;
    for (number, guest) in guests.iter().take(2).enumerate() {
        let order = order_of(guest, &format!("guest-{number}@example.com"));
        guest.checkout(&key(&format!("before-{number}")), &order).await.expect(201);
    }
    // Meanwhile orders go on: whatever comes first, none comes through after the limit is lower than what was used.
    let path = format!("/coupons/{coupon}");
    let lowering = async {
        loop {
            let answer = admin.patch(&path, &json!({"limit": 2})).await;
            if answer.status == 200 {
                return answer.json();
            }
            // An order was faster.
            answer.expect_problem(412, "version_conflict");
        }
    };
    let ordering = guests.iter().skip(2).enumerate().map(|(number, guest)| async move {
        let order = order_of(guest, &format!("late-{number}@example.com"));
        guest.checkout(&key(&format!("late-{number}")), &order).await
    });
    let (lowered, answers) = join!(lowering, join_all(ordering));
    let mut sold = 2;
    for answer in answers {
        if answer.status == 201 {
            sold += 1;
        } else {
            answer.expect_problem(409, "coupon_exhausted");
        }
    }
    assert_eq!((&lowered["limit"], &lowered["used"]), (&json!(2), &json!(sold)), "{lowered}");
    assert_eq!(used(&admin, &coupon).await, sold);
    conservation::check(&host).await;
}
