//! Figures.

use platform_tests::store::{SuiteBackend, SuiteStore, write::scope};
use serde_json::json;
use store_model::{Aggregate, AggregateRow, Filter, GroupKey, Measure, QueryError, Scalar};

use super::{THINGS, fill, open};

laws!(groups_have_their_measures, elements_are_unwound);

fn over(group: Vec<GroupKey>, measures: Vec<Measure>) -> Aggregate {
    Aggregate { filter: Filter::all(), unwind: None, group, measures, scope: None, limit: 100 }
}

fn row<const K: usize, const M: usize>(key: [Scalar; K], measures: [Scalar; M]) -> AggregateRow {
    AggregateRow { key: key.to_vec(), measures: measures.to_vec() }
}

async fn groups_have_their_measures<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"s": "x", "n": 3, "at": "2026-11-23T23:30:00.000Z", "owner": "ann"})),
            ("b", json!({"s": "x", "n": -1, "at": "2026-11-24T09:00:00.000Z"})),
            ("c", json!({"n": 7, "owner": "ann"})),
        ],
    )
    .await;
    let n = || "n".to_owned();
    let measures = vec![Measure::Count, Measure::Sum(n()), Measure::Min(n()), Measure::Max(n())];
    let by_s = over(vec![GroupKey::Field("s".to_owned())], measures.clone());
    let expected = [
        row([Scalar::Null], [1.into(), 7.into(), 7.into(), 7.into()]),
        row(["x".into()], [2.into(), 2.into(), Scalar::Integer(-1), 3.into()]),
    ];
    assert_eq!(store.aggregate(THINGS, &by_s).await.unwrap(), expected);
    let day = GroupKey::Day { path: "at".to_owned(), offset_minutes: 60 };
    let by_day = over(vec![day], vec![Measure::Count]);
    let expected = [row([Scalar::Null], [1.into()]), row(["2026-11-24".into()], [2.into()])];
    assert_eq!(store.aggregate(THINGS, &by_day).await.unwrap(), expected);
    let nothing = Aggregate { filter: Filter::eq("n", 99), ..over(Vec::new(), measures) };
    let expected = [row([], [0.into(), 0.into(), Scalar::Null, Scalar::Null])];
    assert_eq!(store.aggregate(THINGS, &nothing).await.unwrap(), expected);
    let scope = Some(scope("owner", "ann"));
    let scoped = Aggregate { scope, limit: 1, ..over(Vec::new(), vec![Measure::Sum(n())]) };
    assert_eq!(store.aggregate(THINGS, &scoped).await.unwrap(), [row([], [10.into()])]);
    let mistyped = over(Vec::new(), vec![Measure::Sum("s".to_owned())]);
    let wrong = QueryError::WrongType { path: "s".to_owned() };
    assert_eq!(store.aggregate(THINGS, &mistyped).await.unwrap_err(), wrong);
}

async fn elements_are_unwound<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"variants": [{"sku": "x1", "n": 2}, {"sku": "x2", "n": 1}], "lines": [{"k": "p", "q": 2}]})),
            ("b", json!({"variants": [], "lines": [{"k": "p", "q": 5}, {"k": "o", "q": 1.5}, 7]})),
        ],
    )
    .await;
    let aggregate = Aggregate {
        unwind: Some("lines".to_owned()),
        ..over(
            vec![GroupKey::Field("lines.k".to_owned())],
            vec![Measure::Count, Measure::Sum("lines.q".to_owned())],
        )
    };
    let expected = [
        row([Scalar::Null], [1.into(), 0.into()]),
        row(["o".into()], [1.into(), 0.into()]),
        row(["p".into()], [2.into(), 7.into()]),
    ];
    assert_eq!(store.aggregate(THINGS, &aggregate).await.unwrap(), expected);
}
