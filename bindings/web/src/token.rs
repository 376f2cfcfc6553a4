//! Tokens from the app's own function, `(reason) => string | Promise<string>`.
//!
//! What goes wrong in it is told on the console, in the function's own words: a browser has no other
//! log, and of the connection an app hears `no_token` alone.

use js_sys::{Error, Function, Promise};
use landfall_device::{TokenError, TokenFuture, TokenProvider, TokenReason};
use tokio::sync::{mpsc, oneshot};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

type Answer = Result<String, TokenError>;

/// Asks the function, on the thread that owns it.
pub struct FromFunction {
    asked: mpsc::UnboundedSender<(TokenReason, oneshot::Sender<Answer>)>,
}

impl FromFunction {
    pub fn new(function: Function) -> Self {
        let (asked, mut questions) = mpsc::unbounded_channel::<(_, oneshot::Sender<Answer>)>();
        spawn_local(async move {
            while let Some((reason, mut answer)) = questions.recv().await {
                tokio::select! {
                    token = ask(&function, reason) => {
                        if let Err(error) = &token {
                            web_sys::console::warn_1(&format!("landfall: {error}").into());
                        }
                        // Whoever asked has given up.
                        let _ = answer.send(token);
                    }
                    () = answer.closed() => {}
                }
            }
        });
        Self { asked }
    }
}

impl TokenProvider for FromFunction {
    fn token(&self, reason: TokenReason) -> TokenFuture {
        let (answer, token) = oneshot::channel();
        let asked = self.asked.send((reason, answer));
        Box::pin(async move {
            asked.map_err(|_| failed("the app's function is gone"))?;
            token.await.unwrap_or_else(|_| Err(failed("the app's function is gone")))
        })
    }
}

async fn ask(function: &Function, reason: TokenReason) -> Answer {
    let reason = match reason {
        TokenReason::Connect => "connect",
        TokenReason::Refused => "refused",
    };
    let given = function.call1(&JsValue::NULL, &reason.into());
    let given = given.map_err(thrown)?;
    let token = JsFuture::from(Promise::resolve(&given)).await.map_err(thrown)?;
    token.as_string().ok_or_else(|| failed("the app's function gave no text"))
}

/// What the function threw, in its words.
fn thrown(error: JsValue) -> TokenError {
    let message = error.dyn_ref::<Error>().map(|error| String::from(error.message()));
    match message.or_else(|| error.as_string()) {
        Some(message) => TokenError { message },
        None => failed("the app's function failed"),
    }
}

fn failed(message: &str) -> TokenError {
    TokenError { message: message.to_owned() }
}
