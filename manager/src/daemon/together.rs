//! Several things at the same time.

/// The results of all, in their order, when the last has come.
pub async fn join_all<T>(tasks: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Box::pin(task), None)).collect();
    std::future::poll_fn(|context| {
        for (task, result) in tasks.iter_mut().filter(|(_, result)| result.is_none()) {
            if let std::task::Poll::Ready(value) = task.as_mut().poll(context) {
                *result = Some(value);
            }
        }
        if tasks.iter().all(|(_, result)| result.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    tasks.into_iter().filter_map(|(_, result)| result).collect()
}
