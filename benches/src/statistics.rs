//! Medians, spreads and ratios.

/// Times of one contender, in seconds.
pub(crate) struct Samples {
    name: String,
    seconds: Vec<f64>,
}

impl Samples {
    pub fn new(name: &str) -> Samples {
        Samples { name: name.to_owned(), seconds: Vec::new() }
    }

    pub fn push(&mut self, seconds: f64) {
        self.seconds.push(seconds);
        self.seconds.sort_by(f64::total_cmp);
    }

    fn median(&self) -> f64 {
        self.seconds.get(self.seconds.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Prints one line a contender; the first is the measure of the others.
pub(crate) fn table(samples: &[Samples]) {
    let base = samples.first().map_or(f64::NAN, Samples::median);
    for sample in samples {
        let (least, most) =
            (sample.seconds.first().copied().unwrap_or(0.0), sample.seconds.last().copied().unwrap_or(0.0));
        println!(
            "  {:<34} median {:>9.1} ms   {:>9.1} … {:>9.1} ms   {:>6.3} x {}",
            sample.name,
            sample.median() * 1e3,
            least * 1e3,
            most * 1e3,
            sample.median() / base,
            samples[0].name
        );
    }
}
