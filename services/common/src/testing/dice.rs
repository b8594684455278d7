//! Choices for generated tests.

/// Numbers that look random and are the same each time (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Another seed is another sequence.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A number from `first` to `last`.
    ///
    /// # Panics
    /// If there is none.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        first
            + i64::try_from(self.below(u64::try_from(last - first + 1).expect("there is a number between")))
                .expect("it is small")
    }

    /// True one time in `number`.
    pub const fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("it is small")]
    }

    /// One to three of them, separated by commas.
    pub fn some(&mut self, mut one: impl FnMut(&mut Self) -> String) -> String {
        let mut some: Vec<String> = (0..self.between(1, 3)).map(|_| one(self)).collect();
        some.dedup();
        some.join(",")
    }
}
