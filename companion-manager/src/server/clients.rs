//! All clients.

use super::access::Access;
use super::client::{Client, Said};
use super::{CLIENTS_MAX, INPUT_MAX, OUTPUT_MAX};
use proto::control::{Failure, FailureKind, Request, Response};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use supervise::{Monotonic, Timers};
use sys::control::{AcceptError, ControlListener};
use sys::reactor::{Interest, Reactor, Token};

/// The most requests taken from one client before others have their turn.
const REQUESTS_A_TURN: usize = 16;

/// For how long a client may want nothing while others wait for a place.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// Among the clients' numbers, the listener.
const LISTENER: u64 = 0;

/// What clients want.
#[derive(Debug)]
pub enum Incoming {
    /// A request.
    Request {
        /// Of whom.
        client: u64,
        /// What.
        request: Request,
    },
    /// A client has gone.
    Gone {
        /// Which.
        client: u64,
    },
}

/// The control socket and its clients.
pub struct Server {
    listener: Option<ControlListener>,
    listener_token: Token,
    listening: bool,
    /// Whether nobody is let in any more.
    retired: bool,
    access: Access,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    token_of: fn(u64) -> Token,
    timers: Timers<u64>,
    /// Clients with whole requests that had to let others go first.
    unserved: BTreeSet<u64>,
    incoming: VecDeque<Incoming>,
    buffer: Vec<u8>,
}

impl Server {
    /// Serves `listener`; `token_of` gives each client's name in the reactor.
    #[must_use]
    pub fn new(
        listener: Option<ControlListener>,
        access: Access,
        listener_token: Token,
        token_of: fn(u64) -> Token,
    ) -> Self {
        Self {
            listener,
            listener_token,
            listening: false,
            retired: false,
            access,
            clients: BTreeMap::new(),
            next_client: LISTENER + 1,
            token_of,
            timers: Timers::default(),
            unserved: BTreeSet::new(),
            incoming: VecDeque::new(),
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Begins to accept clients, or goes on with it, where there is room.
    pub fn listen(&mut self, reactor: &Reactor) {
        if self.clients.len() < CLIENTS_MAX {
            self.timers.set(LISTENER, None);
            self.resume(reactor);
        }
    }

    fn resume(&mut self, reactor: &Reactor) {
        let Some(listener) = self.listener.as_ref().filter(|_| !self.listening && !self.retired) else {
            return;
        };
        match reactor.register(listener.listener(), self.listener_token, Interest::READ) {
            Ok(()) => self.listening = true,
            Err(error) => tracing::error!("cannot wait for clients on the control socket: {error}"),
        }
    }

    /// Lets in others from now on.
    pub fn change_access(&mut self, access: Access) {
        self.access = access;
    }

    /// Accepts clients on another socket, or on none. Those that have connected to the one before are served.
    pub fn change_listener(&mut self, listener: Option<ControlListener>, reactor: &Reactor, now: Monotonic) {
        self.pause(reactor);
        let before = std::mem::replace(&mut self.listener, listener);
        while let Some(before) = before.as_ref().filter(|_| self.clients.len() < CLIENTS_MAX) {
            match before.accept() {
                Ok(Some(client)) => self.admit(client, reactor, now),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("failed to {error}");
                    break;
                }
            }
        }
        // Where all places are taken, whoever comes finds that out.
        self.resume(reactor);
    }

    /// Accepts no further clients for now: they wait in the listener's queue.
    fn pause(&mut self, reactor: &Reactor) {
        if let (Some(listener), true) = (&self.listener, self.listening) {
            self.listening = false;
            if let Err(error) = reactor.deregister(listener.listener()) {
                tracing::error!("cannot leave the control socket alone: {error}");
            }
        }
    }

    /// Lets nobody in any more: the next manager will.
    pub fn retire(&mut self, reactor: &Reactor) {
        self.retired = true;
        self.pause(reactor);
    }

    /// Clients have connected.
    pub fn accept(&mut self, reactor: &Reactor, now: Monotonic) {
        if !self.listening {
            return;
        }
        if self.clients.len() >= CLIENTS_MAX && !self.make_room(reactor, now) {
            self.pause(reactor);
            self.timers.set(LISTENER, Some(now + IDLE_MAX));
            return;
        }
        // Of further ones is not known whether there are any: for them, no room is made.
        let room = CLIENTS_MAX.saturating_sub(self.clients.len());
        for _ in 0..room.min(REQUESTS_A_TURN) {
            let Some(listener) = self.listener.as_ref().filter(|_| self.listening) else { return };
            match listener.accept() {
                Ok(Some(client)) => self.admit(client, reactor, now),
                Ok(None) => return,
                Err(error @ AcceptError::Exhausted(_)) => {
                    tracing::error!("failed to {error}");
                    self.pause(reactor);
                    return;
                }
                Err(error @ AcceptError::Other(_)) => tracing::warn!("failed to {error}"),
            }
        }
    }

    /// Closes the client that has wanted nothing for longest. Whether there is one.
    fn make_room(&mut self, reactor: &Reactor, now: Monotonic) -> bool {
        let clients = self.clients.iter_mut();
        let idle = clients.filter_map(|(&number, client)| Some((client.idle_for(now)?, number)));
        let Some((_, number)) = idle.max().filter(|(idle, _)| *idle >= IDLE_MAX) else { return false };
        tracing::warn!(
            "a client that wants nothing is disconnected: others wait, and {CLIENTS_MAX} are served"
        );
        self.close(number, reactor);
        true
    }

    fn admit(&mut self, client: sys::control::Client, reactor: &Reactor, now: Monotonic) {
        let sys::control::Client { stream, peer } = client;
        let allowed = self.access.allows(peer, &stream);
        let number = self.next_client;
        self.next_client += 1;
        let mut client = Client::new(stream, now);
        if !allowed {
            tracing::warn!("user {} (pid {}) may not use the control socket", peer.uid, peer.pid);
            let text = format!("not permitted for user {}: see control.allow_users", peer.uid);
            client.dismiss(Failure::new(FailureKind::NotPermitted, text), now);
        }
        if let Err(error) = reactor.register(client.stream(), (self.token_of)(number), Interest::READ) {
            tracing::warn!("failed to serve a client: {error}");
            return;
        }
        self.clients.insert(number, client);
        self.flush(number, reactor);
    }

    /// A client's socket is ready for something.
    pub fn serve(&mut self, number: u64, readable: bool, reactor: &Reactor, now: Monotonic) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        if readable && !client.read(now, &mut self.buffer) {
            self.close(number, reactor);
            return;
        }
        self.take_requests(number, now);
        self.flush(number, reactor);
        // Only one who leaves something unfinished adds to what is kept.
        if self.clients.get(&number).is_some_and(|client| client.input() > 0) {
            self.shed(reactor, INPUT_MAX, Client::input, "unfinished requests");
        }
    }

    /// Serves those that had to let others go first.
    pub fn serve_waiting(&mut self, reactor: &Reactor, now: Monotonic) {
        for number in std::mem::take(&mut self.unserved) {
            self.take_requests(number, now);
            self.flush(number, reactor);
        }
    }

    fn take_requests(&mut self, number: u64, now: Monotonic) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        for _ in 0..REQUESTS_A_TURN {
            match client.next_request(now) {
                Said::Request(request) => {
                    self.incoming.push_back(Incoming::Request { client: number, request });
                }
                Said::Nothing => return,
            }
        }
        self.unserved.insert(number);
    }

    /// What came in, one after the other.
    pub fn next_incoming(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }

    /// Whether nothing came in that was not taken.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.incoming.is_empty()
    }

    /// Answers a client; one that has gone is none the wiser.
    pub fn answer(&mut self, number: u64, response: &Response, reactor: &Reactor) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.answer(response);
        // It may have had to wait for this answer before it could ask more.
        if client.input() > 0 {
            self.unserved.insert(number);
        }
        self.flush(number, reactor);
        // What it has taken already cannot be too much.
        if self.untaken(number) > 0 {
            self.shed(reactor, OUTPUT_MAX, Client::output, "answers it does not read");
        }
    }

    /// How many bytes of answers a client has not taken yet.
    #[must_use]
    pub fn untaken(&self, number: u64) -> usize {
        self.clients.get(&number).map_or(0, Client::output)
    }

    fn flush(&mut self, number: u64, reactor: &Reactor) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        if !client.write() {
            self.close(number, reactor);
            return;
        }
        self.timers.set(number, client.deadline());
        // Most answers are taken at once, and nothing changes.
        let Some(interest) = client.change_of_interest() else { return };
        if let Err(error) = reactor.modify(client.stream(), (self.token_of)(number), interest) {
            tracing::warn!("failed to serve a client: {error}");
            self.close(number, reactor);
        }
    }

    /// Closes the greatest debtors until all clients together keep within `limit`.
    fn shed(&mut self, reactor: &Reactor, limit: usize, debt: fn(&Client) -> usize, what: &str) {
        while self.clients.values().map(debt).sum::<usize>() > limit {
            let Some(number) =
                self.clients.iter().max_by_key(|(_, client)| debt(client)).map(|(&number, _)| number)
            else {
                return;
            };
            tracing::warn!("a client is disconnected: too many bytes of {what}");
            self.close(number, reactor);
        }
    }

    fn close(&mut self, number: u64, reactor: &Reactor) {
        let Some(client) = self.clients.remove(&number) else { return };
        if let Err(error) = reactor.deregister(client.stream()) {
            tracing::debug!("a client could not be taken out of the loop: {error}");
        }
        self.timers.set(number, None);
        self.unserved.remove(&number);
        self.incoming.push_back(Incoming::Gone { client: number });
        drop(client);
        self.listen(reactor);
    }

    /// When [`Server::handle_deadlines`] has something to do; `now` when somebody waits to be served.
    pub fn next_deadline(&mut self, now: Monotonic) -> Option<Monotonic> {
        if self.unserved.is_empty() && self.incoming.is_empty() {
            self.timers.next_deadline()
        } else {
            Some(now)
        }
    }

    /// Closes those that took too long.
    pub fn handle_deadlines(&mut self, reactor: &Reactor, now: Monotonic) {
        while let Some(number) = self.timers.pop_due(now) {
            match number {
                LISTENER => self.resume(reactor),
                client => self.close(client, reactor),
            }
        }
    }

    /// How many bytes of answers a client has not taken.
    #[must_use]
    pub fn owes(&self, number: u64) -> usize {
        self.clients.get(&number).map_or(0, Client::output)
    }

    /// Whether every answer has been taken.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.clients.values().all(|client| client.output() == 0)
    }
}
