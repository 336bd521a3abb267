//! Threads that work side by side, and give their results back in the order in which the work was given out.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{Builder, JoinHandle};

/// Does one piece of work after the other, each with what it keeps from one to the next.
pub(super) type Worker<J, D> = Box<dyn FnMut(J) -> D + Send>;

/// Work, and where its result is waited for.
type Task<J, D> = (J, SyncSender<D>);

/// The threads. Whoever gives out work bounds how much of it is under way, by taking results.
pub(super) struct Pool<J, D> {
    most: usize,
    make: Box<dyn Fn() -> Worker<J, D>>,
    threads: Vec<JoinHandle<()>>,
    tasks: Option<Sender<Task<J, D>>>,
    /// The other end of `tasks`. Threads alone keep it: what waits in it is given up when there is none any more.
    queue: Weak<Mutex<Receiver<Task<J, D>>>>,
    under_way: VecDeque<Receiver<D>>,
    ended: Arc<AtomicBool>,
    /// Does the work where there is no thread to do it.
    here: Option<Worker<J, D>>,
}

impl<J: Send + 'static, D: Send + 'static> Pool<J, D> {
    /// At most `most` threads, each with a worker of `make`. A thread is started when there is work for it. Where there
    /// is none, be it that `most` is 0 or that the system has no more, work is done when it is given out.
    pub(super) fn new(most: usize, make: impl Fn() -> Worker<J, D> + 'static) -> Self {
        Self {
            most,
            make: Box::new(make),
            threads: Vec::new(),
            tasks: None,
            queue: Weak::new(),
            under_way: VecDeque::new(),
            ended: Arc::default(),
            here: None,
        }
    }

    /// Gives out work.
    pub(super) fn submit(&mut self, job: J) {
        let (answer, awaited) = sync_channel(1);
        self.under_way.push_back(awaited);
        if self.threads.len() < self.most.min(self.under_way.len()) {
            self.start();
        }
        if let Some(tasks) = &self.tasks {
            // Without a thread, the answer goes with the task, and is missed where it is waited for.
            let _ = tasks.send((job, answer));
        } else {
            let here = self.here.get_or_insert_with(&self.make);
            // There is room for it.
            let _ = answer.send(here(job));
        }
    }

    fn start(&mut self) {
        let (tasks, queue) = match (&self.tasks, self.queue.upgrade()) {
            (None, _) => {
                let (tasks, queue) = channel();
                (Some(tasks), Arc::new(Mutex::new(queue)))
            }
            (Some(_), Some(queue)) => (None, queue),
            (Some(_), None) => return,
        };
        let weak = Arc::downgrade(&queue);
        let (mut worker, ended) = ((self.make)(), Arc::clone(&self.ended));
        let run = move || {
            while let Some((job, answer)) = next_task(&queue) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // Nobody waits for it if the pool is gone.
                let _ = answer.send(worker(job));
            }
        };
        match Builder::new().spawn(run) {
            Ok(thread) => {
                self.threads.push(thread);
                self.queue = weak;
                self.tasks = tasks.or(self.tasks.take());
            }
            // It would not be there the next time either.
            Err(_) => self.most = self.threads.len(),
        }
    }

    /// How much work was given out and its result not taken.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Waits for the oldest result. `None` if no work is under way.
    pub(super) fn next(&mut self) -> Option<io::Result<D>> {
        self.under_way.pop_front().map(|awaited| awaited.recv().map_err(|_| stopped()))
    }

    /// The oldest result, if it is there.
    pub(super) fn next_ready(&mut self) -> Option<io::Result<D>> {
        let result = match self.under_way.front()?.try_recv() {
            Ok(done) => Ok(done),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(stopped()),
        };
        self.under_way.pop_front();
        Some(result)
    }
}

impl<J, D> Drop for Pool<J, D> {
    /// Ends the threads, each after what it is at.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.tasks = None;
        for thread in self.threads.drain(..) {
            // That it panicked was told to whoever waited for its result.
            let _ = thread.join();
        }
    }
}

/// One thread waits in the queue, the others for it.
fn next_task<J, D>(queue: &Mutex<Receiver<Task<J, D>>>) -> Option<Task<J, D>> {
    queue.lock().ok()?.recv().ok()
}

fn stopped() -> io::Error {
    io::Error::other("a thread stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work() {
        for threads in [0, 1, 2, 5] {
            let mut pool = Pool::new(threads, || {
                Box::new(|number: u64| {
                    // The later, the quicker.
                    (0..(200 - number) * 500).for_each(|step| _ = std::hint::black_box(step));
                    number
                })
            });
            let mut found = Vec::new();
            for number in 0..200 {
                pool.submit(number);
                assert!(pool.threads.len() <= threads);
                if pool.under_way() > 7 {
                    found.push(pool.next().unwrap().unwrap());
                }
                while let Some(ready) = pool.next_ready() {
                    found.push(ready.unwrap());
                }
            }
            while let Some(result) = pool.next() {
                found.push(result.unwrap());
            }
            assert_eq!(found, (0..200).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn threads_end_with_the_pool_and_do_not_begin_what_waits() {
        let done = Arc::new(Mutex::new(0));
        let (begin, started) = channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let mut pool = Pool::new(1, {
            let (done, gate) = (Arc::clone(&done), Arc::clone(&gate));
            move || {
                let (done, gate, begin) = (Arc::clone(&done), Arc::clone(&gate), begin.clone());
                Box::new(move |()| {
                    begin.send(()).unwrap();
                    drop(gate.lock().unwrap());
                    *done.lock().unwrap() += 1;
                })
            }
        });
        for _ in 0..5 {
            pool.submit(());
        }
        started.recv().unwrap();
        pool.ended.store(true, Ordering::Relaxed);
        drop(closed);
        drop(pool);
        assert_eq!(*done.lock().unwrap(), 1);
        assert!(started.recv().is_err(), "a thread is still there");
    }

    #[test]
    fn a_panic_is_an_error_where_the_result_is_waited_for() {
        let mut pool = Pool::new(2, || Box::new(|number: u32| assert!(number < 2, "as the test wants it")));
        for number in 0..6 {
            pool.submit(number);
        }
        let results: Vec<bool> = std::iter::from_fn(|| pool.next()).map(|result| result.is_ok()).collect();
        assert_eq!(results, [true, true, false, false, false, false]);
    }
}
