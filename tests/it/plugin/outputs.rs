//! What a guest answers is checked before anybody gets it.

use super::{fails, hostile};

#[tokio::test(flavor = "multi_thread")]
async fn answers_outside_the_contract_are_not_passed_on() {
    let host = hostile().start().await;
    for request in [
        "GET /hostile/huge-response",
        "GET /hostile/large-response?kind=4194305",
        "GET /hostile/many-headers",
        "GET /hostile/not-json",
        "GET /hostile/body-with-204",
        "GET /hostile/undeclared-code",
        "GET /hostile/code-of-writes",
        "GET /hostile/wrong-status",
        "GET /hostile/huge-cursor",
        "GET /hostile/huge-problem?kind=4194305",
        "POST /hostile/commit-undeclared-status",
        "POST /hostile/commit-bad-header",
        "POST /hostile/committed-without-commit",
    ] {
        fails(&host, request, 502, "plugin_output_invalid", "output").await;
    }
    for status in [0, 99, 100, 101, 199, 203, 302, 404, 500, 600, 999, 65_535] {
        let request = format!("GET /hostile/bad-status?kind={status}");
        fails(&host, &request, 502, "plugin_output_invalid", "output").await;
    }
    for header in [
        "x-fine=line%rbreak",
        "x-fine=line%nset-cookie: a=b",
        "x-bad%r%nname=value",
        "x-space d=value",
        "X-Upper=value",
        "=value",
        "set-cookie=a",
        "content-length=1",
        "transfer-encoding=chunked",
        "content-type=text/html",
        "access-control-allow-origin=*",
        "connection=close",
        "x-request-id=forged",
        "etag=forged",
        "location=/%n",
    ] {
        let request =
            format!("GET /hostile/bad-header?kind={}", header.replace('%', "%25").replace(' ', "+"));
        fails(&host, &request, 502, "plugin_output_invalid", "output").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_header_and_a_location_are_passed_on() {
    let host = hostile().start().await;
    let answer = host.anonymous().get("/hostile/bad-header?kind=x-fine%3Dvalue").await;
    assert_eq!(answer.header("x-fine"), Some("value"));
    answer.expect(200);
    let answer = host.anonymous().get("/hostile/bad-header?kind=location%3D%2Fhostile%2Ffine").await;
    assert_eq!(answer.header("location"), Some("/api/v1/hostile/fine"));
    answer.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_answer_takes_its_commit_along() {
    let host = hostile().start().await;
    for (path, id) in [
        ("/hostile/commit-undeclared-status", "hos_undeclared"),
        ("/hostile/commit-bad-header", "hos_header"),
    ] {
        host.anonymous()
            .post(path, &serde_json::json!({}))
            .await
            .expect_problem(502, "plugin_output_invalid");
        host.anonymous().get(&format!("/hostile/documents/{id}")).await.expect_problem(404, "not_found");
    }
}
