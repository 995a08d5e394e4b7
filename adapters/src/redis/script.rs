//! Scripts: what is done in Redis as one piece.

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{FromRedisValue, RedisResult, Value};

/// A script for Redis, by its text.
pub struct Script {
    text: String,
    script: ::redis::Script,
}

/// A call of a script.
pub struct Call<'a> {
    script: &'a Script,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Script {
    /// Prepares it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let script = ::redis::Script::new(&text);
        Self { text, script }
    }

    /// One call of it. Its keys share a hash slot.
    pub fn call(&self, keys: &[&str], arguments: &[&[u8]]) -> Call<'_> {
        Call {
            script: self,
            keys: keys.iter().map(|it| (*it).to_owned()).collect(),
            arguments: arguments.iter().map(|it| it.to_vec()).collect(),
        }
    }

    /// Many calls of it in one message to one server.
    pub(super) async fn run_in_one(
        &self,
        one: &mut MultiplexedConnection,
        calls: &[Call<'_>],
    ) -> RedisResult<Vec<Value>> {
        let mut pipeline = ::redis::pipe();
        // Whoever lost its scripts in a restart has it again, without another round.
        pipeline.cmd("SCRIPT").arg("LOAD").arg(&self.text).ignore();
        for call in calls {
            let evalsha = pipeline.cmd("EVALSHA").arg(self.script.get_hash());
            let counted = evalsha.arg(call.keys.len());
            counted.arg(&call.keys).arg(&call.arguments);
        }
        pipeline.query_async(one).await
    }
}

impl Call<'_> {
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<T> {
        let mut invocation = self.script.script.prepare_invoke();
        invocation.key(&self.keys).arg(&self.arguments);
        invocation.invoke_async(connection).await
    }
}
