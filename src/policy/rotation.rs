//! Whose turn it is.

/// A place in the circle of members.
#[derive(Default)]
pub struct Rotation {
    next: usize,
}

impl Rotation {
    /// All of `count` members, beginning with the one whose turn it is.
    pub fn order(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let start = if self.next < count { self.next } else { 0 };
        (start..count).chain(0..start)
    }

    /// This member has had its turn.
    pub fn served(&mut self, member: usize) {
        self.next = member + 1;
    }

    /// The member at `index` has left; those behind it have moved up by one.
    pub fn member_left(&mut self, index: usize) {
        if index < self.next {
            self.next -= 1;
        }
    }
}
