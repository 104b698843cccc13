//! One batch: what it costs, and how that changes with the vectors it names.
//!
//! The work is cut into blocks of fixed size, whoever does them, and every sum is taken in one order.

use super::batch::Batch;
use super::parameters::{Features, Parameters};
use super::softmax;
use crate::kernel;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Examples, or sampled items, multiplied at once.
const BLOCK: usize = 64;

/// Memory of a step, reused from batch to batch; after [`work_out`] it holds the derivatives.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// `E_in` of the sources.
    inputs: Vec<f32>,
    /// `E_out` of the candidates.
    outputs: Vec<f32>,
    /// What is added to the logits of the sampled candidates.
    offsets: Vec<f32>,
    /// `u`, examples×width.
    users: Vec<f32>,
    /// The loss by `u` before dropout, examples×width.
    by_user: Vec<f32>,
    /// The loss by the logits of the sampled candidates, examples×sampled.
    by_logit: Vec<f32>,
    /// Loss and slope of each example's target.
    targets: Vec<softmax::Target>,
    /// The loss by `E_in` of each source.
    pub(super) by_input: Vec<f32>,
    /// The loss by `E_out` of each candidate.
    pub(super) by_output: Vec<f32>,
    /// The loss by `b` of each candidate.
    pub(super) by_bias: Vec<f32>,
}

/// Leaves the derivatives of the mean loss in `room`; returns the sum of the losses.
pub(super) fn work_out(
    parameters: &Parameters,
    features: &Features,
    batch: &Batch,
    room: &mut Room,
) -> f64 {
    let width = parameters.input.own.width();
    parameters.input.vectors(&batch.sources, features, &mut room.inputs);
    parameters.output.vectors(&batch.candidates, features, &mut room.outputs);
    let offset = |item: &u32| parameters.bias[*item as usize] + batch.correction;
    room.offsets.clear();
    room.offsets.extend(batch.candidates[..batch.sampled].iter().map(offset));
    speak(batch, width, room);
    compare(parameters, batch, width, room);
    let (sources, candidates) = (batch.sources.len(), batch.candidates.len());
    room.by_input.clear();
    room.by_input.resize(sources * width, 0.0);
    room.by_output.clear();
    room.by_output.resize(candidates * width, 0.0);
    room.by_bias.clear();
    room.by_bias.resize(candidates, 0.0);
    turn(batch, width, room);
    hand_back(batch, width, room);
    room.targets.iter().map(|target| f64::from(target.loss)).sum()
}

/// `u` of every example.
fn speak(batch: &Batch, width: usize, room: &mut Room) {
    let Room { inputs, users, .. } = room;
    users.clear();
    users.resize(batch.len() * width, 0.0);
    let blocks = users.par_chunks_mut(BLOCK * width).zip(batch.keep.par_chunks(BLOCK * width));
    blocks.enumerate().for_each(|(block, (users, keep))| {
        for (at, user) in users.chunks_exact_mut(width).enumerate() {
            for (slot, weight) in batch.mentions(block * BLOCK + at) {
                kernel::add(user, *weight, row(inputs, *slot, width));
            }
        }
        users.iter_mut().zip(keep).for_each(|(user, keep)| *user *= keep);
    });
}

/// Logits, losses, and the loss by logit and by `u`.
fn compare(parameters: &Parameters, batch: &Batch, width: usize, room: &mut Room) {
    let (n, scale) = (batch.sampled, (batch.len() as f32).recip());
    let Room { outputs, offsets, users, by_user, by_logit, targets, .. } = room;
    let (outputs, offsets, users) = (&*outputs, &*offsets, &*users);
    by_user.resize(batch.len() * width, 0.0);
    by_logit.resize(batch.len() * n, 0.0);
    targets.resize(batch.len(), softmax::Target { loss: 0.0, slope: 0.0 });
    let sampled = MatRef::from_row_major_slice(&outputs[..n * width], n, width);
    let blocks = by_user
        .par_chunks_mut(BLOCK * width)
        .zip(by_logit.par_chunks_mut(BLOCK * n))
        .zip(targets.par_chunks_mut(BLOCK))
        .enumerate();
    blocks.for_each(|(block, ((by_user, by_logit), targets))| {
        let first = block * BLOCK;
        let u = &users[first * width..][..targets.len() * width];
        let left = MatRef::from_row_major_slice(u, targets.len(), width);
        let logits = MatMut::from_row_major_slice_mut(&mut *by_logit, targets.len(), n);
        matmul(logits, Accum::Replace, left, sampled.transpose(), 1.0, Par::Seq);
        for (at, (target, logits)) in
            targets.iter_mut().zip(by_logit.chunks_exact_mut(n)).enumerate()
        {
            let slot = batch.targets[first + at];
            if let Some(logit) = logits.get_mut(slot as usize) {
                *logit = f32::NEG_INFINITY;
            }
            let bias = parameters.bias[batch.candidates[slot as usize] as usize];
            let user = row(u, at as u32, width);
            let logit = kernel::dot(user, row(outputs, slot, width)) + bias;
            *target = softmax::slopes(logits, offsets, logit, scale);
        }
        let slopes = MatRef::from_row_major_slice(&*by_logit, targets.len(), n);
        let out = MatMut::from_row_major_slice_mut(&mut *by_user, targets.len(), width);
        matmul(out, Accum::Replace, slopes, sampled, 1.0, Par::Seq);
        for (at, (target, by_user)) in
            targets.iter().zip(by_user.chunks_exact_mut(width)).enumerate()
        {
            let slot = batch.targets[first + at];
            kernel::add(by_user, target.slope, row(outputs, slot, width));
        }
        let keep = &batch.keep[first * width..][..by_user.len()];
        by_user.iter_mut().zip(keep).for_each(|(by_user, keep)| *by_user *= keep);
    });
}

/// The loss by vector and bias of the sampled candidates.
fn turn(batch: &Batch, width: usize, room: &mut Room) {
    let Room { users, by_logit, by_output, by_bias, .. } = room;
    let (n, examples) = (batch.sampled, batch.len());
    let users = MatRef::from_row_major_slice(&*users, examples, width);
    let slopes = MatRef::from_row_major_slice(&*by_logit, examples, n);
    let by_logit = &*by_logit;
    let blocks = by_output[..n * width]
        .par_chunks_mut(BLOCK * width)
        .zip(by_bias[..n].par_chunks_mut(BLOCK))
        .enumerate();
    blocks.for_each(|(block, (by_output, by_bias))| {
        let (first, columns) = (block * BLOCK, by_bias.len());
        let left = slopes.submatrix(0, first, examples, columns).transpose();
        let out = MatMut::from_row_major_slice_mut(by_output, columns, width);
        matmul(out, Accum::Replace, left, users, 1.0, Par::Seq);
        for slopes in by_logit.chunks_exact(n) {
            for (sum, slope) in by_bias.iter_mut().zip(&slopes[first..first + columns]) {
                *sum += slope;
            }
        }
    });
}

/// What the targets add for the candidates, and all of it for the sources.
fn hand_back(batch: &Batch, width: usize, room: &mut Room) {
    let Room { users, by_user, targets, by_input, by_output, by_bias, .. } = room;
    let to_targets = || {
        for (example, (target, slot)) in targets.iter().zip(&batch.targets).enumerate() {
            let out = &mut by_output[*slot as usize * width..][..width];
            kernel::add(out, target.slope, row(users, example as u32, width));
            by_bias[*slot as usize] += target.slope;
        }
    };
    let to_sources = || {
        for example in 0..batch.len() {
            for (slot, weight) in batch.mentions(example) {
                let out = &mut by_input[*slot as usize * width..][..width];
                kernel::add(out, *weight, row(by_user, example as u32, width));
            }
        }
    };
    rayon::join(to_targets, to_sources);
}

fn row(rows: &[f32], row: u32, width: usize) -> &[f32] {
    &rows[row as usize * width..][..width]
}
