//! Commits that meet.

use futures_util::future::join_all;
use platform_tests::store::{
    SuiteBackend, SuiteStore,
    write::{Conditions, check, increment, set, update},
};
use serde_json::json;
use store_model::{Filter, Refusal};

use super::{THINGS, fill, open, stored};

laws!(stock_is_taken_once, a_check_excludes_write_skew, a_version_is_taken_once);

async fn stock_is_taken_once<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("level", json!({"n": 100}))]).await;
    let takers: Vec<_> = (0..500)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let take = update(THINGS, "level", vec![increment("n", -1)]);
                store.commit(vec![take.guard(Filter::Gte("n".to_owned(), 1.into()))]).await
            })
        })
        .collect();
    let results = join_all(takers).await;
    let taken = results.iter().filter(|result| result.as_ref().unwrap().is_ok()).count();
    assert_eq!(taken, 100);
    for refused in results.into_iter().filter_map(|result| result.unwrap().err()) {
        assert_eq!(refused.reason, Refusal::Guard);
    }
    let level = stored(&store, "level").await.unwrap();
    assert_eq!((&level["n"], &level["version"]), (&json!(0), &json!(101)));
}

/// Two commits each rely on what the other changes. In no order may both succeed.
async fn a_check_excludes_write_skew<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    for round in 0..50 {
        let (left, right) = (format!("left{round}"), format!("right{round}"));
        fill(&store, &[(&left, json!({"b": true})), (&right, json!({"b": true}))]).await;
        let go_off = |relies_on: String, turns_off: String| {
            let store = store.clone();
            tokio::spawn(async move {
                let relies = check(THINGS, &relies_on).guard(Filter::eq("b", true));
                store.commit(vec![relies, update(THINGS, &turns_off, vec![set("b", json!(false))])]).await
            })
        };
        let (one, other) = tokio::join!(go_off(left.clone(), right.clone()), go_off(right, left));
        let succeeded = [one.unwrap(), other.unwrap()].iter().filter(|result| result.is_ok()).count();
        assert_eq!(succeeded, 1);
    }
}

async fn a_version_is_taken_once<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({}))]).await;
    let writers = (0..20).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let write = update(THINGS, "a", vec![set("n", json!(number))]).version(1);
            store.commit(vec![write]).await
        })
    });
    let results = join_all(writers).await;
    assert_eq!(results.iter().filter(|result| result.as_ref().unwrap().is_ok()).count(), 1);
}
