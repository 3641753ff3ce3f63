//! Bells between processes.

use std::time::Duration;

use lockstep::store::{Bells, sql};

use crate::support::databases::{Database, on_both};

on_both!(who_listens_hears_what_another_process_rings_for);

async fn who_listens_hears_what_another_process_rings_for(db: &Database) {
    db.store.ring(&["nobody listens yet"]).await.unwrap();
    let listening = db.store.listen().await.unwrap();
    assert_eq!(listening.is_some(), db.url.starts_with("postgres"), "a SQLite file has one process");
    let Some(mut listening) = listening else { return };
    let other = sql::open(&db.url).await.unwrap();
    other.ring(&[]).await.unwrap();
    other.ring(&["a", "b"]).await.unwrap();
    for expected in ["a", "b"] {
        let heard = tokio::time::timeout(Duration::from_secs(20), listening.heard()).await;
        assert_eq!(heard.expect("nothing was heard").unwrap(), expected);
    }
}
