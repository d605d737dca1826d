//! The slowest tests and the totals, from a JUnit report.

use std::fmt::Write;

struct Case<'a> {
    suite: &'a str,
    name: &'a str,
    seconds: f64,
    failed: bool,
}

/// The slowest tests, and how many passed and failed.
pub(crate) fn summary(report: &str, count: usize) -> String {
    let mut cases: Vec<Case<'_>> = report.split("<testcase ").skip(1).filter_map(case).collect();
    let failed = cases.iter().filter(|case| case.failed).count();
    let passed = cases.len() - failed;
    cases.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let mut text = format!("The slowest {} of {} tests:\n", count.min(cases.len()), cases.len());
    for case in cases.iter().take(count) {
        let _ = writeln!(text, "{:>9.3} s  {} {}", case.seconds, case.suite, case.name);
    }
    let _ = write!(text, "{passed} passed, {failed} failed");
    text
}

/// One test; the text goes from behind `<testcase ` to the next one. The writer of these reports is nextest, so
/// finding attributes needs no XML parser.
fn case(text: &str) -> Option<Case<'_>> {
    let tag = &text[..text.find('>')?];
    let seconds = attribute(tag, "time")?.parse().ok()?;
    let body = text.split("</testcase>").next().unwrap_or(text);
    // A test that failed and passed when run again has `flakyFailure`, which is not a failure.
    let failed = body.contains("<failure") || body.contains("<error");
    Some(Case { suite: attribute(tag, "classname")?, name: attribute(tag, "name")?, seconds, failed })
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mark = format!("{name}=\"");
    let found = tag.match_indices(&mark).find(|(at, _)| *at == 0 || tag[..*at].ends_with(' '))?;
    tag[found.0 + mark.len()..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites name="nextest-run" tests="3" failures="1" time="1.5">
    <testsuite name="host" tests="3">
        <testcase name="a::quick" classname="host" timestamp="2026" time="0.010"/>
        <testcase name="a::slow" classname="host" timestamp="2026" time="1.250">
        </testcase>
        <testcase name="b::broken" classname="host" timestamp="2026" time="0.200">
            <failure message="boom" type="test failure">time="9"</failure>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn the_slowest_come_first_and_failures_are_counted() {
        let text = summary(REPORT, 2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "The slowest 2 of 3 tests:",
                "    1.250 s  host a::slow",
                "    0.200 s  host b::broken",
                "2 passed, 1 failed",
            ]
        );
    }

    #[test]
    fn an_empty_report_has_no_tests() {
        assert!(summary("", 20).ends_with("0 passed, 0 failed"));
    }
}
