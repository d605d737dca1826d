//! Durable jobs.

use std::{sync::Arc, time::Duration};

use host::{
    clock::{Clock, ManualClock},
    store::jobs::{Job, JobError, Jobs, NewJob, Retry},
};
use platform_tests::store::{
    backend::{START_MS, open_embedded, open_mongo},
    mongod::{self, TestDatabase},
};
use serde_json::json;
use tempfile::TempDir;

const LEASE: Duration = Duration::from_secs(30);

struct Bench {
    jobs: Jobs,
    store: host::store::Store,
    time: ManualClock,
    _place: Place,
}

/// What goes away with the bench.
#[expect(dead_code, reason = "held to be dropped")]
enum Place {
    Directory(TempDir),
    Database(Arc<TestDatabase>),
}

async fn on_embedded() -> Bench {
    let directory = TempDir::new().unwrap();
    let (clock, time) = Clock::manual(START_MS);
    let store = open_embedded(directory.path(), clock).await;
    bench(store, time, Place::Directory(directory)).await
}

async fn on_mongodb() -> Bench {
    let database = mongod::database().await;
    let (clock, time) = Clock::manual(START_MS);
    let store = open_mongo(&database.uri, clock).await;
    bench(store, time, Place::Database(database)).await
}

async fn bench(store: host::store::Store, time: ManualClock, place: Place) -> Bench {
    store.collections_declare_host(vec![Jobs::schema()]).await.unwrap();
    Bench { jobs: Jobs::new(store.clone()), store, time, _place: place }
}

on_each_backend!(
    on_embedded(), on_mongodb();
    a_job_is_claimed_when_it_is_due_and_gone_when_complete,
    a_lease_that_ran_out_is_lost_to_the_next_worker,
    a_failed_job_comes_back_later_and_is_given_up_in_the_end,
    racing_workers_get_different_jobs,
);

impl Bench {
    async fn enqueue(&self, payload: u32, delay_seconds: u64) {
        let job = NewJob {
            kind: "mail".to_owned(),
            payload: json!(payload),
            delay: Duration::from_secs(delay_seconds),
            attempts_max: 2,
        };
        self.store.commit(vec![self.jobs.enqueue(job)]).await.unwrap();
    }

    async fn claim(&self) -> Option<Job> {
        self.jobs.claim(&["mail"], LEASE).await.unwrap()
    }
}

async fn a_job_is_claimed_when_it_is_due_and_gone_when_complete(bench: Bench) {
    bench.enqueue(2, 60).await;
    bench.enqueue(1, 0).await;
    assert_eq!(bench.jobs.claim(&["other"], LEASE).await.unwrap(), None);
    let job = bench.claim().await.unwrap();
    assert_eq!((&job.payload, job.attempt), (&json!(1), 1));
    assert_eq!(bench.claim().await, None);
    bench.jobs.complete(&job).await.unwrap();
    bench.time.advance(Duration::from_secs(60));
    assert_eq!(bench.claim().await.unwrap().payload, json!(2));
    assert_eq!(bench.claim().await, None);
}

async fn a_lease_that_ran_out_is_lost_to_the_next_worker(bench: Bench) {
    bench.enqueue(1, 0).await;
    let dead_worker = bench.claim().await.unwrap();
    bench.time.advance(LEASE);
    let next = bench.claim().await.unwrap();
    assert_eq!((next.id.as_str(), next.attempt), (dead_worker.id.as_str(), 2));
    assert!(matches!(bench.jobs.complete(&dead_worker).await, Err(JobError::LeaseLost { .. })));
    assert!(matches!(bench.jobs.fail(&dead_worker, "late").await, Err(JobError::LeaseLost { .. })));
    bench.jobs.complete(&next).await.unwrap();
}

async fn a_failed_job_comes_back_later_and_is_given_up_in_the_end(bench: Bench) {
    bench.enqueue(1, 0).await;
    let job = bench.claim().await.unwrap();
    let Retry::After(pause) = bench.jobs.fail(&job, "no route").await.unwrap() else {
        panic!("the job has another attempt");
    };
    assert_eq!(bench.claim().await, None);
    bench.time.advance(pause);
    let job = bench.claim().await.unwrap();
    assert_eq!(bench.jobs.fail(&job, "no route").await.unwrap(), Retry::Dead);
    bench.time.advance(Duration::from_secs(1_000_000));
    assert_eq!(bench.claim().await, None);
}

async fn racing_workers_get_different_jobs(bench: Bench) {
    for payload in 0..40 {
        bench.enqueue(payload, 0).await;
    }
    let worker = || {
        let jobs = bench.jobs.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            while let Some(job) = jobs.claim(&["mail"], LEASE).await.unwrap() {
                jobs.complete(&job).await.unwrap();
                got.push(job.payload.as_u64().unwrap());
            }
            got
        })
    };
    let (one, other) = tokio::join!(worker(), worker());
    let mut all = [one.unwrap(), other.unwrap()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..40).collect::<Vec<u64>>());
}
