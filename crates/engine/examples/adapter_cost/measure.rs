//! Times of operations that are made in turn with others.

use std::time::Instant;

/// Times of one kind of operation, in microseconds.
#[derive(Default)]
pub(crate) struct Times {
    wall: Vec<f64>,
    cpu: f64,
}

impl Times {
    /// Makes `count` operations, told their numbers.
    pub(crate) async fn take(&mut self, count: usize, mut operation: impl AsyncFnMut(usize)) {
        let (before, made) = (cpu(), self.wall.len());
        for at in made..made + count {
            let started = Instant::now();
            operation(at).await;
            self.wall.push(started.elapsed().as_secs_f64() * 1e6);
        }
        self.cpu += cpu() - before;
    }

    /// The time that this share of operations do not take longer than.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.wall.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share) as usize]
    }

    /// This process's processor time of one operation.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu / self.wall.len() as f64
    }
}

/// The processor time of this process's threads, in microseconds. Of those that have ended nothing is known; none end here.
pub(crate) fn cpu() -> f64 {
    let threads = fs_err::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = threads.map(|thread| {
        let path = thread.expect("listed").path().join("schedstat");
        let text = fs_err::read_to_string(path).unwrap_or_default();
        text.split(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0)
    });
    nanoseconds.sum::<f64>() / 1e3
}
