//! A made-up shop of any size, the same for the same seed.
//!
//! Frequencies are those that make queries hard: a few words, tags and categories are in very many products, most are
//! in few.

use proptest::{
    prelude::Rng,
    test_runner::{RngAlgorithm, TestRng},
};
use serde_json::{Value, json};

pub(super) const VARIANTS: usize = 10;
const SEED: [u8; 32] = *b"a catalogue of the same products";
const ROOTS: usize = 12;
const CHILDREN: usize = 6;
const WORDS: usize = 4_000;
const TAGS: usize = 300;
const COLOURS: [&str; 12] =
    ["Black", "White", "Red", "Blue", "Green", "Grey", "Navy", "Beige", "Brown", "Pink", "Yellow", "Orange"];
const SIZES: [&str; 8] = ["XS", "S", "M", "L", "XL", "XXL", "3XL", "4XL"];
const MATERIALS: [&str; 6] = ["cotton", "linen", "wool", "steel", "oak", "glass"];

/// Gives a catalogue, product by product.
pub(super) struct Generator {
    random: TestRng,
    made: usize,
}

/// A category: its slug, and its parent's.
pub(super) struct Category {
    pub(super) slug: String,
    pub(super) parent: Option<String>,
}

/// Three levels, parents first.
pub(super) fn categories() -> Vec<Category> {
    let mut all = Vec::new();
    for root in 0..ROOTS {
        let slug = format!("cat-{root}");
        all.push(Category { slug: slug.clone(), parent: None });
        for middle in 0..CHILDREN {
            let child = format!("{slug}-{middle}");
            all.push(Category { slug: child.clone(), parent: Some(slug.clone()) });
            for leaf in 0..CHILDREN {
                all.push(Category { slug: format!("{child}-{leaf}"), parent: Some(child.clone()) });
            }
        }
    }
    all
}

impl Generator {
    pub(super) fn new() -> Self {
        Self { random: TestRng::from_seed(RngAlgorithm::ChaCha, &SEED), made: 0 }
    }

    /// The next product. `category` answers the id of a category by its slug.
    pub(super) fn product(&mut self, category: impl Fn(&str) -> String) -> Value {
        let number = self.made;
        self.made += 1;
        let leaf = |rng: &mut Self| {
            let (root, middle, leaf) = (rng.often_small(ROOTS), rng.below(CHILDREN), rng.below(CHILDREN));
            category(&format!("cat-{root}-{middle}-{leaf}"))
        };
        let mut category_ids = vec![leaf(self)];
        if self.below(3) == 0 {
            let second = leaf(self);
            if !category_ids.contains(&second) {
                category_ids.push(second);
            }
        }
        let mut tags: Vec<String> = (0..4).map(|_| format!("tag-{}", self.often_small(TAGS))).collect();
        tags.sort();
        tags.dedup();
        let colours: Vec<&str> = self.some_of(&COLOURS, 5);
        let sizes: Vec<&str> = self.some_of(&SIZES, 2);
        let amount = 100 + (self.often_small(50_000) as i64) * 10;
        let mut variants = Vec::with_capacity(VARIANTS);
        for colour in &colours {
            for size in &sizes {
                let sku = format!("SKU-{number}-{}", variants.len());
                let amount = amount + 50 * variants.len() as i64;
                variants.push(json!({
                    "sku": sku,
                    "barcode": format!("40{number:09}{}", variants.len()),
                    "optionValues": {"Color": colour, "Size": size},
                    "prices": [
                        {"amount": amount, "currency": "USD"},
                        {"amount": amount * 9 / 10, "currency": "EUR"},
                    ],
                    "weightGrams": 100 + self.below(5_000),
                }));
            }
        }
        let description: Vec<String> = (0..30).map(|_| self.word()).collect();
        json!({
            "name": format!("{} {} {number}", self.word(), self.word()),
            "slug": format!("product-{number}"),
            "description": description.join(" "),
            "status": if self.below(20) == 0 { "draft" } else { "active" },
            "categoryIds": category_ids,
            "tags": tags,
            "taxClass": if self.below(10) == 0 { "reduced" } else { "standard" },
            "options": [{"name": "Color", "values": colours}, {"name": "Size", "values": sizes}],
            "variants": variants,
            "attributes": {"material": MATERIALS[self.below(MATERIALS.len())]},
        })
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound as u64) as usize
    }

    /// Below the bound, and the smaller the more often.
    fn often_small(&mut self, bound: usize) -> usize {
        let limit = self.below(bound) + 1;
        self.below(limit)
    }

    fn word(&mut self) -> String {
        let number = self.often_small(WORDS);
        word(number)
    }

    /// Some of the values, in their order.
    fn some_of<'v>(&mut self, values: &[&'v str], count: usize) -> Vec<&'v str> {
        let mut left = count;
        let mut chosen = Vec::with_capacity(count);
        for (position, value) in values.iter().enumerate() {
            if self.below(values.len() - position) < left {
                chosen.push(*value);
                left -= 1;
            }
        }
        chosen
    }
}

/// The word with this number; 0 is the most frequent.
pub(super) fn word(mut number: usize) -> String {
    const SYLLABLES: [&str; 16] =
        ["ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "be", "du", "fa", "go", "hi", "ja", "pe", "zu"];
    let mut word = String::new();
    for _ in 0..3 {
        word.push_str(SYLLABLES[number % SYLLABLES.len()]);
        number /= SYLLABLES.len();
    }
    word
}
