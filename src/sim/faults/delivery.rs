//! How an answer leaves: whole, or in one of the ways in which networks lose it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::sync::mpsc;

use super::spec::FaultKind;

/// Time for the first half of an answer to leave before the connection is closed.
const FLUSH: Duration = Duration::from_millis(50);

/// The way of one answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sim) enum Delivery {
    /// As it should be.
    Whole,
    /// The connection is closed instead.
    Cut,
    /// Nothing comes, and the connection stays open until the caller closes it.
    Never,
    /// It comes so many seconds later.
    Late(f64),
    /// One byte a second.
    Slow,
    /// Half of the body, and then the connection is closed.
    Half,
}

impl Delivery {
    /// The way that a fault asks for.
    pub(in crate::sim) fn of(kind: &FaultKind, late_seconds: f64) -> Self {
        match kind {
            FaultKind::Reset | FaultKind::Lost => Self::Cut,
            FaultKind::Hang | FaultKind::HangAfter => Self::Never,
            FaultKind::Late => Self::Late(late_seconds),
            FaultKind::Slow => Self::Slow,
            FaultKind::Half => Self::Half,
            _ => Self::Whole,
        }
    }
}

/// The answer is withheld and the connection closed.
#[derive(Debug, Error)]
#[error("the connection is cut off")]
pub(in crate::sim) struct CutOff;

/// A body that comes piece by piece, under a `Content-Length` that promises all of it.
#[derive(Debug)]
pub(in crate::sim) struct Pieces {
    pieces: mpsc::Receiver<Result<Bytes, CutOff>>,
    length: u64,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        self.pieces
            .poll_recv(context)
            .map(|piece| piece.map(|p| p.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// A body of either kind.
pub(in crate::sim) type AnswerBody = Either<Full<Bytes>, Pieces>;

/// Sends an answer in its way.
pub(in crate::sim) async fn send(
    answer: Response<Bytes>,
    delivery: Delivery,
) -> Result<Response<AnswerBody>, CutOff> {
    match delivery {
        Delivery::Cut => return Err(CutOff),
        // The server drops this when the caller goes away.
        Delivery::Never => std::future::pending().await,
        Delivery::Late(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
        Delivery::Whole | Delivery::Slow | Delivery::Half => {}
    }
    Ok(answer.map(|body| match delivery {
        Delivery::Slow | Delivery::Half => Either::Right(pieces(body, delivery)),
        _ => Either::Left(Full::new(body)),
    }))
}

fn pieces(body: Bytes, delivery: Delivery) -> Pieces {
    let (sender, pieces) = mpsc::channel(1);
    let length = body.len() as u64;
    tokio::spawn(async move {
        // A receiver that is gone is a caller that has given up.
        let _ = if delivery == Delivery::Slow {
            trickle(&sender, body).await
        } else {
            break_off(&sender, body).await
        };
    });
    Pieces { pieces, length }
}

type Sent = Result<(), mpsc::error::SendError<Result<Bytes, CutOff>>>;

async fn trickle(sender: &mpsc::Sender<Result<Bytes, CutOff>>, mut body: Bytes) -> Sent {
    while !body.is_empty() {
        sender.send(Ok(body.split_to(1))).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn break_off(sender: &mpsc::Sender<Result<Bytes, CutOff>>, mut body: Bytes) -> Sent {
    sender.send(Ok(body.split_to(body.len() / 2))).await?;
    tokio::time::sleep(FLUSH).await;
    sender.send(Err(CutOff)).await
}
