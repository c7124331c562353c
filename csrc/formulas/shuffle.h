// Shuffles: which row comes at place i of an epoch, each place on its own.
//
// With a b >= n, place i is the pair (l, r), i = l b + r. Sixteen rounds take turns,
//
//   l <- (l + f(r)) mod a,  r <- (r + f(l)) mod b,      f(x) = floor(limit h(x xor key) / 2^32), limit = a or b,
//   h(x) = high(m x) xor low(m x), the halves of a product of 64 bits,
//
// with a counted random key each, and all again while the pair is none of the n. Each round is one to one, so all of
// them are, and so is the walk back to the n rows.
//
// Source: J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, a Feistel network on residues,
// and the walk; to shuffle so: R. Mitchell et al., "Bandwidth-optimal random shuffling for GPUs", ACM TOPC 2022.
#pragma once

#include <cmath>

#include "core/random.h"

namespace chainrule {

struct Shuffle {
  // With so many all orders of two to seven rows are equally likely, as far as 30 to 200 of each can tell
  // (tests/test_kernels_random.py); with twelve those of six rows are not.
  static constexpr int rounds = 16;

  std::uint32_t rows; // n
  std::uint32_t a, b; // b is even: were both odd, every round would be an even permutation of the pairs
  std::uint32_t keys[rounds];

  /// The row at place i of the n, 0 <= i < n.
  CHAINRULE_INLINE constexpr std::uint32_t operator()(std::uint32_t i) const { return walk(i / b, i % b); }

  /// The row of a pair, one of the n or not, that has rounds to go.
  CHAINRULE_INLINE constexpr std::uint32_t walk(std::uint32_t l, std::uint32_t r) const {
    do {
      for (int round = 0; round < rounds; round += 2) {
        l = turn(l, a, r, keys[round]);
        r = turn(r, b, l, keys[round + 1]);
      }
    } while (l * b + r >= rows);
    return l * b + r;
  }

private:
  /// (x + f(other)) mod limit.
  CHAINRULE_INLINE static constexpr std::uint32_t turn(std::uint32_t x, std::uint32_t limit, std::uint32_t other,
                                                       std::uint32_t key) {
    const std::uint64_t product = philox_multiplier0 * (other ^ key);
    const auto hash = static_cast<std::uint32_t>(product >> 32 ^ product);
    const std::uint32_t sum = x + static_cast<std::uint32_t>(static_cast<std::uint64_t>(hash) * limit >> 32);
    return sum < limit ? sum : sum - limit;
  }
};

/// The shuffle of n rows, 0 <= n < 2^31, in an epoch.
inline Shuffle shuffle_of(std::uint64_t seed, std::uint64_t epoch, Index n) {
  Shuffle shuffle{};
  shuffle.rows = static_cast<std::uint32_t>(n);
  shuffle.a = static_cast<std::uint32_t>(std::ceil(std::sqrt(static_cast<double>(n)))); // exact below 2^53
  if (n > 0) shuffle.b = (shuffle.rows + 2 * shuffle.a - 1) / (2 * shuffle.a) * 2;
  const Stream stream{seed, Purpose::shuffle, 0, epoch};
  for (int round = 0; round < Shuffle::rounds; ++round) {
    shuffle.keys[round] = philox(stream, static_cast<std::uint32_t>(round / 4))[static_cast<std::size_t>(round % 4)];
  }
  return shuffle;
}

} // namespace chainrule
