//! How the sandbox behaves: by the token of the authorization.
//!
//! | Token | The authorization |
//! |---|---|
//! | `tok_approve` | succeeds |
//! | `tok_captured` | succeeds and has moved the money |
//! | `tok_decline` | is declined, as any other token is |
//! | `tok_action` | asks the customer for something, until a webhook says what became of it |
//! | `tok_pending` | is pending, until a webhook says what became of it |
//! | `tok_timeout` | succeeds, and is not answered |
//! | `tok_garbage` | succeeds, and is answered with something absurd |
//!
//! `tok_decline_capture` succeeds, and captures of it are declined; `tok_timeout_capture` succeeds, and captures of it
//! succeed without an answer. The same goes for `refund` and `void`.

use plugin_sdk::payment::Kind;

/// How an authorization goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Approve,
    Captured,
    Decline,
    Action,
    Pending,
    Timeout,
    Garbage,
}

/// How what follows an authorization goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Decline,
    Timeout,
}

/// What a token asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub authorize: Behaviour,
    /// What goes wrong later, and with what.
    pub later: Option<(Kind, Trouble)>,
}

impl Token {
    /// `None` for a token that the sandbox does not know.
    pub fn parse(text: &str) -> Option<Self> {
        let behaviour = match text.strip_prefix("tok_")? {
            "approve" => Behaviour::Approve,
            "captured" => Behaviour::Captured,
            "decline" => Behaviour::Decline,
            "action" => Behaviour::Action,
            "pending" => Behaviour::Pending,
            "timeout" => Behaviour::Timeout,
            "garbage" => Behaviour::Garbage,
            later => {
                let (trouble, kind) = later.split_once('_')?;
                let trouble = match trouble {
                    "decline" => Trouble::Decline,
                    "timeout" => Trouble::Timeout,
                    _ => return None,
                };
                let kind = Kind::parse(kind).filter(|kind| *kind != Kind::Authorization)?;
                return Some(Self { authorize: Behaviour::Approve, later: Some((kind, trouble)) });
            }
        };
        Some(Self { authorize: behaviour, later: None })
    }
}
