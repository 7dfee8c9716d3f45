//! What clients ask.

use super::outcomes::Known;
use super::waiting::may_take_long;
use super::{Shell, now};
use crate::server::Incoming;
use crate::table::{Asker, Input};
use proto::control::{
    Answer, Failure, FailureKind, Pid, Reply, Request, Response, ScaleTarget, SignalTarget, Verb,
};

impl Shell {
    /// Takes in what clients have sent.
    pub(super) fn take_incoming(&mut self) {
        while let Some(incoming) = self.server.next_incoming() {
            match incoming {
                Incoming::Request { client, request } => self.handle_request(client, request),
                Incoming::Gone { client } => {
                    self.table.forget_client(client);
                    self.forget_readers(client);
                    self.forget_stream_readers(client);
                    self.feed.forget_client(client);
                    self.waiting.forget_client(client);
                }
            }
        }
    }

    /// Whether no client has said anything that was not taken in.
    pub(super) fn server_is_quiet(&self) -> bool {
        self.server.is_quiet()
    }

    fn handle_request(&mut self, client: u64, request: Request) {
        let asker = Asker { client, id: request.id, token: request.token };
        if let Verb::Outcome(token) = request.verb {
            let asker = Asker { token: super::outcomes::NO_TOKEN, ..asker };
            match self.outcomes.ask(asker, token) {
                Known::Answered(reply) => self.answer(asker, *reply),
                Known::UnderWay => self.waiting.note(Asker { token, ..asker }, None, now()),
                Known::New => {
                    let text = "nothing is known of that request: it may not have arrived, or be too old";
                    self.answer(asker, Reply::Failed(Failure::new(FailureKind::Unknown, text)));
                }
            }
            return;
        }
        if request.wait && may_take_long(&request.verb) {
            self.waiting.note(asker, Some(request.verb.name()), now());
        }
        match self.outcomes.admit(asker) {
            Known::Answered(reply) => self.answer(asker, *reply),
            Known::UnderWay => {}
            Known::New => self.begin_request(asker, request),
        }
    }

    fn begin_request(&mut self, asker: Asker, request: Request) {
        match request.verb {
            Verb::Ping => self.answer(asker, Reply::Done(Answer::Done)),
            Verb::Version => {
                let arbiter = self.master.arbiter.version.clone();
                let manager = env!("CARGO_PKG_VERSION").to_owned();
                self.answer(asker, Reply::Done(Answer::Version { manager, arbiter }));
            }
            Verb::Status(names) => {
                let reply = self
                    .status(&names)
                    .map_or_else(Reply::Failed, |status| Reply::Done(Answer::Status(Box::new(status))));
                self.answer(asker, reply);
            }
            Verb::Info(name) => {
                let own_uid = sys::process::effective_uid();
                let info = self.table.info(&name, now(), sys::clock::wall(), own_uid);
                let reply = info.map_or_else(Reply::Failed, |info| Reply::Done(Answer::Info(Box::new(info))));
                self.answer(asker, reply);
            }
            Verb::Pids(names) => {
                let reply = self.pids(&names);
                self.answer(asker, reply.map_or_else(Reply::Failed, |pids| Reply::Done(Answer::Pids(pids))));
            }
            // Names are the table's to know; arbiter gets full ones.
            Verb::Unload(names) => match self.table.loaded(&names) {
                Ok(names) => self.relay(asker, request.wait, Verb::Unload(names)),
                Err(failure) => self.refuse(asker, failure),
            },
            Verb::Logs(request) => self.begin_logs(asker, request),
            Verb::Stats(names) => self.ask_stats(asker, &names),
            Verb::Events { patterns, after } => self.subscribe(asker, patterns, after),
            Verb::Send(send) => self.send_input(asker, request.wait, send),
            Verb::Receive { name, stream, follow, after } => {
                self.receive(asker, (&name, &stream), follow, after.as_deref());
            }
            verb if is_arbiters(&verb) => self.relay(asker, request.wait, verb),
            verb => {
                let request = Request { verb, ..request_of(asker, request.wait) };
                self.table.handle(Input::Command { asker, request }, now());
            }
        }
    }

    /// Answers a question: nothing has to be kept first.
    pub(super) fn answer(&mut self, to: Asker, reply: Reply) {
        if to.token != super::outcomes::NO_TOKEN {
            // A question that came with a token all the same is not kept as one under way.
            self.outcomes.settle(to, &reply, &mut proto::link::Transaction::default());
        }
        self.server.answer(to.client, &Response { id: to.id, reply }, &self.reactor);
    }

    /// Refuses a request before anything was done.
    fn refuse(&mut self, to: Asker, failure: Failure) {
        self.answer(to, Reply::Failed(failure));
    }

    fn pids(&self, names: &[String]) -> Result<Vec<Pid>, Failure> {
        if names.is_empty() {
            return Ok(vec![Pid { name: "arbiter".into(), slot: None, pid: self.boot.arbiter }]);
        }
        self.table.pids(names)
    }
}

fn request_of(asker: Asker, wait: bool) -> Request {
    Request { id: asker.id, token: asker.token, wait, verb: Verb::Ping }
}

/// Whether arbiter answers this.
fn is_arbiters(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Reload(_)
            | Verb::Upgrade
            | Verb::Shutdown { .. }
            | Verb::RestartWorkers
            | Verb::RestartWorker { .. }
            | Verb::RestartManager
            | Verb::Scale { target: ScaleTarget::Workers, .. }
            | Verb::Signal { target: SignalTarget::Workers | SignalTarget::Worker(_), .. }
            | Verb::ReopenLogs
            | Verb::Load(_)
    )
}
