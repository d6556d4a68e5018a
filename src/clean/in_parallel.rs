//! Work that falls into independent pieces.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` for each of `pieces` on all cores and returns what came out, in their order.
///
/// # Errors
/// One of the failures, if there are any; what has not been begun by then is left undone.
pub(super) fn in_parallel<T: Sync, R: Send, E: Send>(
    pieces: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else { return Ok(done) };
            match work(piece) {
                Ok(result) => done.push((at, result)),
                Err(error) => {
                    next.store(pieces.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(pieces.len());
    if threads < 2 {
        return worker().map(|done| done.into_iter().map(|(_, result)| result).collect());
    }
    let mut done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut done = Vec::with_capacity(pieces.len());
        let mut failure = None;
        for worker in workers {
            match worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(more) => done.extend(more),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(done), Err)
    })?;
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_in_the_order_of_what_went_in() {
        let pieces: Vec<u32> = (0..1000).collect();
        let doubled = in_parallel(&pieces, |piece| Ok::<_, ()>(piece * 2)).unwrap();
        assert_eq!(doubled, pieces.iter().map(|piece| piece * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(&pieces, |&piece| if piece == 500 { Err(piece) } else { Ok(()) }), Err(500));
        assert_eq!(in_parallel(&[0; 0], |_| Ok::<_, ()>(())), Ok(Vec::new()));
    }
}
