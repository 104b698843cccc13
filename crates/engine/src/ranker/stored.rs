//! Lessons and states as bytes: little-endian numbers in a fixed order, whose widths follow from the ranker.

use sona_numeric::online::{Lesson, Options, Parts, State};

/// A lesson: its weight, its context, its pull and its curvature.
pub(super) fn lesson_to_bytes(lesson: &Lesson) -> Vec<u8> {
    let Lesson { context, curvature, pull, weight } = lesson;
    let numbers = std::iter::once(weight).chain(context).chain(pull).chain(curvature);
    numbers.flat_map(|number| number.to_le_bytes()).collect()
}

/// `None` if the bytes are no lesson of this shape.
pub(super) fn lesson_of_bytes(bytes: &[u8], features: usize, moments: usize) -> Option<Lesson> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    let triangle = features * (features + 1) / 2;
    if !rest.is_empty() || numbers.len() != 1 + moments + features + triangle {
        return None;
    }
    let (weight, numbers) = numbers.split_first()?;
    let (context, numbers) = numbers.split_at(moments);
    let (pull, curvature) = numbers.split_at(features);
    Some(Lesson {
        context: context.to_vec(),
        curvature: curvature.to_vec(),
        pull: pull.to_vec(),
        weight: *weight,
    })
}

/// A state: how many lessons it rests on, its right side, its solution and its precision.
pub(super) fn state_to_bytes(state: &State) -> Vec<u8> {
    let Parts { precision, right, solution, lessons } = state.to_parts();
    let mut bytes = lessons.to_le_bytes().to_vec();
    let numbers = right.iter().chain(&solution).chain(&precision);
    bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
    bytes
}

/// The state of these bytes; in words what is wrong with them.
pub(super) fn state_of_bytes(
    bytes: &[u8],
    shape: (usize, usize),
    options: Options,
) -> Result<State, String> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let n = shape.0 * shape.1;
    if !rest.is_empty() || chunks.len() != 1 + 2 * n + n * n {
        return Err(format!("it has {} bytes, which are no state of this ranker", bytes.len()));
    }
    let lessons = u64::from_le_bytes(chunks[0]);
    let numbers: Vec<f64> = chunks[1..].iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    let parts = Parts {
        right: numbers[..n].to_vec(),
        solution: numbers[n..2 * n].to_vec(),
        precision: numbers[2 * n..].to_vec(),
        lessons,
    };
    State::from_parts(shape, options, parts).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_and_a_state_are_read_back_bit_by_bit() {
        let lesson = Lesson {
            context: vec![1.0, -0.5],
            curvature: vec![0.1, f32::MIN_POSITIVE, 3.0],
            pull: vec![-0.0, 1e30],
            weight: 0.5,
        };
        let bytes = lesson_to_bytes(&lesson);
        assert_eq!(lesson_of_bytes(&bytes, 2, 2), Some(lesson.clone()));
        assert_eq!(lesson_of_bytes(&bytes, 2, 3), None);
        assert_eq!(lesson_of_bytes(&bytes[1..], 2, 2), None);

        let mut state = State::new(2, 2, Options::default());
        state.learn(&Lesson { pull: vec![0.3, -2.0], ..lesson }).expect("of the shape");
        state.solve();
        let bytes = state_to_bytes(&state);
        assert_eq!(state_of_bytes(&bytes, (2, 2), Options::default()), Ok(state));
        assert!(state_of_bytes(&bytes[8..], (2, 2), Options::default()).is_err());
        let wild: Vec<u8> = bytes.iter().map(|_| 0xff).collect();
        assert!(state_of_bytes(&wild, (2, 2), Options::default()).is_err());
    }
}
