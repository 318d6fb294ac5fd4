//! The started functions, by how they answer.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jobledger::lambda::Started;

use crate::error::{Error, Result};
use crate::invoke::{Instance, StreamingInstance};
use crate::template::{Function, FunctionUrl};

/// The started functions, by the names of their crates.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    whole: BTreeMap<String, Instance>,
    streaming: BTreeMap<String, StreamingInstance>,
}

/// The function that answers at a Function URL.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Whole(Instance),
    Streaming(StreamingInstance),
}

impl Instances {
    /// Adds a function. Template and code must agree whether its answer is streamed: Lambda follows the one, and the
    /// function the other.
    pub(crate) fn add(&mut self, declared: &Function, started: Started) -> Result<()> {
        let (name, timeout) = (&declared.name, declared.timeout);
        match (started, declared.url) {
            (Started::Whole(handler), None | Some(FunctionUrl::Buffered)) => {
                self.whole.insert(name.clone(), Instance::new(name, timeout, handler));
                Ok(())
            }
            (Started::Streamed(handler), Some(FunctionUrl::Streamed)) => {
                self.streaming.insert(name.clone(), StreamingInstance::new(name, timeout, handler));
                Ok(())
            }
            (Started::Streamed(_), None | Some(FunctionUrl::Buffered)) => {
                let problem = "streams its answer: its FunctionUrlConfig needs InvokeMode: RESPONSE_STREAM";
                Err(Error::Registry(format!("`{name}` {problem}")))
            }
            (Started::Whole(_), Some(FunctionUrl::Streamed)) => {
                let problem = "answers in one piece: its FunctionUrlConfig must not say RESPONSE_STREAM";
                Err(Error::Registry(format!("`{name}` {problem}")))
            }
        }
    }

    /// Makes all functions store the data that they only have in memory.
    pub(crate) async fn finish(&self) {
        let whole = join_all(self.whole.values().map(Instance::finish));
        let streaming = join_all(self.streaming.values().map(StreamingInstance::finish));
        tokio::join!(whole, streaming);
    }

    /// A function that answers in one piece. All callers except a Function URL need one.
    pub(crate) fn whole(&self, name: &str) -> Option<&Instance> {
        self.whole.get(name)
    }

    /// A function, whole or streaming.
    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        let whole = self.whole.get(name).cloned().map(Target::Whole);
        whole.or_else(|| self.streaming.get(name).cloned().map(Target::Streaming))
    }
}
