//! How matching documents are distributed over values.

use platform_tests::store::{SuiteBackend, SuiteStore, write::scope};
use serde_json::json;
use store_model::{Facet, FacetCount, Facets, Filter, QueryError, Scalar};

use super::{THINGS, fill, open};

laws!(values_and_ranges_are_counted, what_no_index_has_is_not_counted);

fn values(path: &str, prefix: Option<&str>, limit: u32) -> Facet {
    Facet::Values { path: path.to_owned(), prefix: prefix.map(str::to_owned), limit }
}

fn of_all(facets: Vec<Facet>) -> Facets {
    Facets { filter: Filter::all(), text: None, facets, scope: None }
}

fn count(value: impl Into<Scalar>, documents: u64) -> FacetCount {
    FacetCount { value: value.into(), documents }
}

async fn values_and_ranges_are_counted<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            (
                "a",
                json!({"n": 5, "s": "x", "tags": ["red", "blue", "red"], "name": "red shoe", "owner": "ann"}),
            ),
            ("b", json!({"n": 20, "s": "x", "tags": ["blue"], "name": "blue shoe"})),
            ("c", json!({"n": null, "s": "y", "tags": [], "name": "shoelace", "owner": "ann"})),
            ("d", json!({"n": -1, "tags": ["red", null, "rust"]})),
        ],
    )
    .await;
    let ranges = Facet::Ranges { path: "n".to_owned(), bounds: vec![0, 10, 20] };
    let asked = vec![
        values("tags", None, 2),
        values("tags", Some("r"), 5),
        values("s", None, 5),
        values("id", None, 1),
        ranges.clone(),
    ];
    let expected = [
        vec![count("blue", 2), count("red", 2)],
        vec![count("red", 2), count("rust", 1)],
        vec![count("x", 2), count("y", 1)],
        vec![count("a", 1)],
        vec![count(Scalar::Null, 1), count(0, 1), count(10, 0), count(20, 1)],
    ];
    assert_eq!(store.facets(THINGS, &of_all(asked)).await.unwrap(), expected);

    let some = Facets {
        filter: Filter::Exists("s".to_owned(), true),
        text: Some("sho".to_owned()),
        scope: Some(scope("owner", "ann")),
        ..of_all(vec![values("tags", None, 5), values("s", None, 5), ranges])
    };
    let expected = [
        vec![count("blue", 1), count("red", 1)],
        vec![count("x", 1), count("y", 1)],
        vec![count(Scalar::Null, 0), count(0, 1), count(10, 0), count(20, 0)],
    ];
    assert_eq!(store.facets(THINGS, &some).await.unwrap(), expected);
    assert_eq!(store.facets(THINGS, &of_all(Vec::new())).await.unwrap(), Vec::<Vec<FacetCount>>::new());
}

async fn what_no_index_has_is_not_counted<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let unknown = |path: &str| QueryError::UnknownFilter(path.to_owned());
    let wrong = |path: &str| QueryError::WrongType { path: path.to_owned() };
    let ranges =
        |path: &str, bounds: &[i64]| Facet::Ranges { path: path.to_owned(), bounds: bounds.to_vec() };
    for (facet, refusal) in [
        (values("nowhere", None, 1), unknown("nowhere")),
        // Declared as `scan`.
        (values("b", None, 1), unknown("b")),
        (values("n", Some("1"), 1), wrong("n")),
        (ranges("s", &[1]), wrong("s")),
        (ranges("variants.n", &[1]), unknown("variants.n")),
    ] {
        assert_eq!(store.facets(THINGS, &of_all(vec![facet])).await.unwrap_err(), refusal);
    }
    for facet in [values("n", None, 0), values("n", None, 1001), ranges("n", &[]), ranges("n", &[2, 2])] {
        let refusal = store.facets(THINGS, &of_all(vec![facet])).await.unwrap_err();
        assert!(matches!(refusal, QueryError::TooLarge(_)), "{refusal:?}");
    }
    let many = of_all(vec![values("n", None, 1); 21]);
    assert!(matches!(store.facets(THINGS, &many).await.unwrap_err(), QueryError::TooLarge(_)));
}
