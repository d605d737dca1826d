use super::*;

/// A shop with orders and accounts.
#[derive(Default)]
struct Shop {
    /// By number; those of here are never replaced.
    orders: Mutex<Vec<(String, &'static str)>>,
    accounts: Vec<Value>,
    sent: Mutex<Vec<Value>>,
    /// How often it answers that it is busy.
    busy: AtomicUsize,
}

impl SystemApi for Shop {
    async fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        _: &[(&str, &str)],
    ) -> Result<(u16, Value), SystemApiError> {
        let asked = path.split_once("[in]=").map(|(_, values)| values.split(',').collect::<Vec<_>>());
        let asked = asked.unwrap_or_default();
        let is_asked = |name: &str| asked.contains(&answers::escaped(name).as_str());
        match (method, path.split('?').next().unwrap_or_default()) {
            ("GET", "/orders") => {
                let orders = self.orders.lock().unwrap();
                let found = orders.iter().filter(|(number, _)| is_asked(number));
                Ok((200, found.map(|(number, _)| json!({"id": "ord_1", "number": number})).collect()))
            }
            ("GET", "/users") => {
                let found = self.accounts.iter().filter(|it| is_asked(it["email"].as_str().unwrap()));
                Ok((200, found.cloned().collect()))
            }
            ("POST", "/orders/import") => Ok(self.take(body.unwrap())),
            other => panic!("{other:?}"),
        }
    }
}

impl Shop {
    fn take(&self, body: Value) -> (u16, Value) {
        if self.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return (503, json!({"code": "overloaded"}));
        }
        let number = body["number"].as_str().unwrap().to_owned();
        if body["colour"] != Value::Null {
            let error = json!({"pointer": "/colour", "code": "unknown_field", "message": "No."});
            return (422, json!({"code": "validation_failed", "errors": [error]}));
        }
        self.sent.lock().unwrap().push(body);
        let mut orders = self.orders.lock().unwrap();
        match orders.iter().find(|(known, _)| *known == number) {
            Some((_, "here")) => (409, json!({"code": "already_exists", "detail": "It was made here."})),
            Some(_) => (200, json!({"id": "ord_1"})),
            None => {
                orders.push((number, "imported"));
                (201, json!({"id": "ord_1"}))
            }
        }
    }

    fn sent(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

fn account(email: &str, kind: &str, is_verified: bool) -> Value {
    json!({"id": format!("usr_{email}"), "email": email, "kind": kind, "emailVerified": is_verified})
}

struct Imported {
    report: Report,
    told: Vec<(u64, String, String)>,
}

async fn imported(api: &Shop, lines: &[Value], existing: Existing, dry_run: bool) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ndjson");
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let journal = Journal::open(folder.path(), "x").unwrap();
    imported_with(api, &file, existing, Some(&journal).filter(|_| !dry_run)).await
}

async fn imported_with(
    api: &Shop,
    file: &std::path::Path,
    existing: Existing,
    journal: Option<&Journal>,
) -> Imported {
    let dry_run = journal.is_none();
    let options = Options { existing, dry_run, ..options(file.to_owned(), Kind::Orders) };
    let mut told = Vec::new();
    let report = run(api, &options, journal, |it| {
        if let Told::Mistakes(mistakes) = it {
            told.extend(mistakes.iter().map(|it| (it.row, it.pointer.clone(), it.code.clone())));
        }
        Ok(())
    })
    .await
    .unwrap();
    Imported { report, told }
}

fn told(told: &[(u64, String, String)]) -> Vec<(u64, &str, &str)> {
    told.iter().map(|(row, pointer, code)| (*row, pointer.as_str(), code.as_str())).collect()
}

#[test]
fn a_line_needs_a_number_and_one_customer() {
    let draft = line(Kind::Orders, json!({"number": "#1", "customerEmail": " Ada@Example.com"})).unwrap();
    assert_eq!((draft.slug.as_str(), &draft.body["customerEmail"]), ("#1", &json!("ada@example.com")));
    let draft = line(Kind::Orders, json!({"number": "#1", "customerEmail": null})).unwrap();
    assert_eq!(Value::Object(draft.body), json!({"number": "#1"}));
    for (value, pointer) in [
        (json!({}), "/number"),
        (json!({"number": ""}), "/number"),
        (json!({"number": 7}), "/number"),
        (json!({"number": "7", "customerEmail": 7}), "/customerEmail"),
        (json!({"number": "7", "customerEmail": " "}), "/customerEmail"),
        (json!({"number": "7", "customerEmail": "a@b.c", "customerId": "usr_1"}), "/customerEmail"),
    ] {
        let mistake = line(Kind::Orders, value).unwrap_err();
        assert_eq!((mistake.row, mistake.pointer.as_str()), (3, pointer));
    }
}

#[tokio::test]
async fn customers_are_found_by_their_address() {
    let accounts = vec![
        account("ada@example.com", "customer", true),
        account("eve@example.com", "customer", false),
        account("root@example.com", "admin", true),
    ];
    let shop = Shop { accounts, ..Shop::default() };
    let of = |number: &str, email: &str| json!({"number": number, "customerEmail": email});
    let lines = [
        of("1", "ADA@example.com"),
        of("2", "eve@example.com"),
        of("3", "root@example.com"),
        of("4", "nobody@example.com"),
        json!({"number": "5", "customerId": "usr_5", "email": "guest@example.com"}),
    ];
    let refused = [2, 3, 4].map(|row| (row, "/customerEmail", "validation_failed"));
    for dry_run in [true, false] {
        let done = imported(&shop, &lines, Existing::Update, dry_run).await;
        assert_eq!((done.report.created, done.report.refused), (2, 3));
        assert_eq!(told(&done.told), refused);
        assert_eq!(shop.sent(), if dry_run { 0 } else { 2 });
    }
    let mut sent = shop.sent.lock().unwrap().clone();
    sent.sort_by_key(|body| body["number"].as_str().map(str::to_owned));
    assert_eq!(sent[0], json!({"number": "1", "customerId": "usr_ada@example.com"}));
    assert_eq!(sent[1], lines[4]);
}

#[tokio::test]
async fn what_is_there_is_replaced_left_alone_or_an_error() {
    let here = || {
        let orders = vec![("old".to_owned(), "imported"), ("own".to_owned(), "here")];
        Shop { orders: Mutex::new(orders), ..Shop::default() }
    };
    let lines = ["old", "own", "new", "a,b"].map(|number| json!({"number": number}));
    let shop = here();
    let done = imported(&shop, &lines, Existing::Update, false).await;
    assert_eq!((done.report.created, done.report.updated, done.report.refused), (2, 1, 1));
    assert_eq!(told(&done.told), [(2, "", "already_exists")]);
    let shop = here();
    let done = imported(&shop, &lines, Existing::Skip, false).await;
    assert_eq!((done.report.created, done.report.skipped, shop.sent()), (2, 2, 2));
    let done = imported(&here(), &lines, Existing::Fail, false).await;
    assert_eq!(told(&done.told), [(1, "/number", "already_exists"), (2, "/number", "already_exists")]);
}

#[tokio::test]
async fn a_refused_order_stops_nothing_and_a_busy_shop_is_asked_again() {
    let shop = Shop { busy: AtomicUsize::new(3), ..Shop::default() };
    let mut lines: Vec<Value> = (0..120).map(|number| json!({"number": format!("#{number}")})).collect();
    lines[17]["colour"] = json!("red");
    let done = imported(&shop, &lines, Existing::Update, false).await;
    assert_eq!((done.report.created, done.report.refused), (119, 1));
    assert_eq!(told(&done.told), [(18, "/colour", "unknown_field")]);
    assert_eq!(shop.sent(), 119);
}

#[tokio::test]
async fn an_import_goes_on_behind_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ndjson");
    let lines: Vec<Value> = (0..5).map(|number| json!({"number": format!("#{number}")})).collect();
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let journal = Journal::open(folder.path(), "x").unwrap();
    journal.begin(&[0, 1, 2]).unwrap();
    journal.finish(&[0, 1]).unwrap();
    drop(journal);
    let journal = Journal::open(folder.path(), "x").unwrap();
    // The third was written, and nobody could tell.
    let shop = Shop { orders: Mutex::new(vec![("#2".to_owned(), "imported")]), ..Shop::default() };
    let done = imported_with(&shop, &file, Existing::Fail, Some(&journal)).await;
    assert_eq!((done.report.created, done.report.done_before, done.told.len()), (3, 2, 0));
    assert_eq!(shop.sent(), 3);
}
