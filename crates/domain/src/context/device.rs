//! On what device.

use super::words::words;

words! {
    /// What the list will be watched on.
    DeviceType {
        /// A television.
        Tv = "tv",
        /// A phone.
        Mobile = "mobile",
        /// A computer.
        Desktop = "desktop",
        /// A tablet.
        Tablet = "tablet",
    }
}

impl DeviceType {
    /// How well a title of this length fits the device, 0..=1.
    ///
    /// Television wants at least half an hour, phones and tablets at most an hour; an unknown length is .7.
    pub fn fit(self, runtime_minutes: Option<u32>) -> f32 {
        match (self, runtime_minutes) {
            (Self::Desktop, _) => 0.9,
            (_, None) => 0.7,
            (Self::Tv, Some(61..)) | (Self::Mobile | Self::Tablet, Some(..30)) => 1.0,
            (Self::Tv | Self::Mobile | Self::Tablet, Some(30..=60)) => 0.8,
            (Self::Tv | Self::Mobile | Self::Tablet, Some(_)) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_want_lengths() {
        let fits = |device: DeviceType| {
            [None, Some(20), Some(30), Some(60), Some(61)].map(|runtime| device.fit(runtime))
        };
        assert_eq!(fits(DeviceType::Tv), [0.7, 0.0, 0.8, 0.8, 1.0]);
        assert_eq!(fits(DeviceType::Mobile), [0.7, 1.0, 0.8, 0.8, 0.0]);
        assert_eq!(fits(DeviceType::Desktop), [0.9; 5]);
    }
}
