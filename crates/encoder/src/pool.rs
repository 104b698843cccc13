//! From the states of tokens to one vector of length 1.

/// The mean of the states whose `mask` is not 0; `states` is `[tokens, width]`, row-major.
pub(crate) fn mean(states: &[f32], mask: &[i32]) -> Vec<f32> {
    let width = states.len() / mask.len().max(1);
    let mut sum = vec![0.0; width];
    let mut count = 0.0_f32;
    for (state, _) in states.chunks_exact(width.max(1)).zip(mask).filter(|(_, mask)| **mask != 0) {
        for (sum, value) in sum.iter_mut().zip(state) {
            *sum += value;
        }
        count += 1.0;
    }
    for value in &mut sum {
        *value /= count.max(1.0);
    }
    sum
}

/// The vector at length 1, or why it has none.
pub(crate) fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, &'static str> {
    // In double precision: the squares of small numbers are not lost.
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err("its output is not finite");
    }
    if length == 0.0 {
        return Err("its output is zero");
    }
    for value in &mut vector {
        *value = (f64::from(*value) / length) as f32;
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_up_is_not_pooled() {
        let states = [1.0, 3.0, 3.0, 5.0, 900.0, 900.0];
        assert_eq!(mean(&states, &[1, 1, 0]), [2.0, 4.0]);
        assert_eq!(mean(&states, &[1, 0, 0]), [1.0, 3.0]);
    }

    #[test]
    fn a_vector_has_length_one_or_is_refused() {
        assert_eq!(unit(vec![3.0, 4.0]), Ok(vec![0.6, 0.8]));
        assert_eq!(unit(vec![3e-30, 4e-30]), Ok(vec![0.6, 0.8]));
        assert!(unit(vec![0.0, 0.0]).is_err());
        assert!(unit(vec![f32::NAN, 1.0]).is_err());
        assert!(unit(vec![f32::INFINITY, 1.0]).is_err());
    }
}
