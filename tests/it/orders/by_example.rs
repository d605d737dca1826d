//! The examples of `docs/ORDERS.md` are run as they stand there, in their order and in one shell, and show what stands
//! below them.
//!
//! A block that is `sh` is run; one that is `text` is what the block before has to print, and without one it prints
//! nothing. Ids, order numbers and times differ from run to run: they are compared by their kind, and ids and numbers
//! by which of them are the same.

use std::{process::Command, time::Duration};

use host::identity::{AccountKind, NewAccount};
use platform_tests::{
    conservation,
    host::{SHOP_GRANTS, TestHostBuilder},
    packages::{program, run},
};
use secrecy::SecretString;

const ORDERS: &str = include_str!("../../../docs/ORDERS.md");

/// Where the document's host is.
const ORIGIN: &str = "http://127.0.0.1:8080";
/// How often the host's clock is moved on.
const TICK: Duration = Duration::from_millis(5);
/// Ends the output of a block.
const END: char = '\u{1e}';

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_document_show_what_happens() {
    if program("jq", &["--version"], "jq, with which docs/ORDERS.md reads answers").is_none() {
        return;
    }
    let blocks = blocks();
    let configured =
        blocks.iter().filter(|block| block.language == "toml" && !SHOP_GRANTS.contains(block.text));
    let host = configured
        .fold(TestHostBuilder::shop(), |host, block| host.grants("\n").grants(block.text))
        .start()
        .await;
    assert_eq!(host.refusals(), []);
    let you = NewAccount {
        email: "you@example.com".to_owned(),
        name: "You".to_owned(),
        kind: AccountKind::Admin,
        roles: vec!["superadmin".to_owned()],
    };
    let password = SecretString::from("correct horse battery");
    host.app.identity().account_create(you, password).await.unwrap();

    let examples = examples(&blocks);
    assert!(examples[0].commands.contains(ORIGIN), "{}", examples[0].commands);
    let script: String = examples
        .iter()
        .map(|example| format!("{}printf '\\036'\n", example.commands.replace(ORIGIN, host.origin())))
        .collect();
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("set -euo pipefail\n{script}")]).current_dir(host.data_dir());
    // Nobody's `.curlrc` and no proxy.
    shell.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // Figures are of what was before now: time goes on as it does for a reader.
    let clock = host.clock.clone();
    let going_on = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            clock.advance(TICK);
        }
    });
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    going_on.abort();

    let printed = String::from_utf8(output.stdout).unwrap();
    let mut printed = printed.split(END);
    let (mut here, mut there) = (Names::default(), Names::default());
    for example in &examples {
        let printed = printed.next().unwrap_or_default();
        let complaint = String::from_utf8_lossy(&output.stderr);
        let at = format!("docs/ORDERS.md:{}: {}{complaint}", example.line, example.commands);
        assert_eq!(here.settled(printed), there.settled(example.shows), "{at}");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    conservation::check(&host).await;
}

/// A fenced block of the document.
struct Block {
    /// Of its first line, from 1.
    line: usize,
    language: &'static str,
    text: &'static str,
}

/// Commands, and what they have to print.
struct Example {
    line: usize,
    commands: &'static str,
    shows: &'static str,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    // The text before a fence and that inside take turns.
    let mut parts = ORDERS.split("```");
    let mut line = 1 + parts.next().unwrap().matches('\n').count();
    while let (Some(inside), Some(after)) = (parts.next(), parts.next()) {
        let (info, text) = inside.split_once('\n').unwrap();
        let language = info.split(' ').next().unwrap();
        blocks.push(Block { line: line + 1, language, text });
        line += (inside.matches('\n').count()) + after.matches('\n').count();
    }
    blocks
}

fn examples(blocks: &[Block]) -> Vec<Example> {
    // The signature of the sandbox needs a program that few have.
    let is_left_out =
        |block: &Block| block.text.contains("b3sum") && run(Command::new("b3sum").arg("--version")).is_err();
    let mut examples = Vec::new();
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sh") {
        if is_left_out(block) {
            eprintln!("NOT TESTED: the example of line {}, for want of b3sum", block.line);
            continue;
        }
        let shows = blocks.get(index + 1).filter(|next| next.language == "text").map_or("", |next| next.text);
        examples.push(Example { line: block.line, commands: block.text, shows });
    }
    examples
}

/// The ids and order numbers of a text, in the order in which they appear.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// The text with what differs from run to run replaced.
    fn settled(&mut self, text: &str) -> String {
        let is_part = |it: char| it.is_ascii_alphanumeric() || "_-:.".contains(it);
        let mut settled = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|it: char| is_part(it) != is_part(first)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            match kind(word) {
                Some("time") => settled.push_str("<time>"),
                Some(kind) => {
                    let known = self.0.iter().position(|name| name == word).unwrap_or_else(|| {
                        self.0.push(word.to_owned());
                        self.0.len() - 1
                    });
                    settled.push_str(&format!("<{kind} {known}>"));
                }
                None => settled.push_str(word),
            }
        }
        settled
    }
}

/// What a word names that is another in each run: the prefix of an id, `number` of an order, or `time`.
fn kind(word: &str) -> Option<&str> {
    let is_base_32 = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if let Some((prefix, rest)) = word.split_once('_')
        && rest.len() == 26
        && is_base_32(rest)
    {
        return Some(prefix);
    }
    if let Some((day, rest)) = word.split_once('-')
        && (day.len(), rest.len()) == (6, 6)
        && is_base_32(rest)
    {
        return Some("number");
    }
    let is_time = word.len() == 24 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    is_time.then_some("time")
}
