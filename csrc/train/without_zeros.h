// WithoutZeros: dense rows to train on, most of whose numbers are 0, kept as sparse rows where a first layer computes
// faster with these. Pictures of pen strokes on paper, categories and words are such rows.
//
// No result changes by a bit: a term that is 0 adds nothing to a sum, and the products of sparse rows add the others in
// the same order (cpu/sparse.cpp).
#pragma once

#include <vector>

#include "train/network.h"

namespace chainrule {

template <class T> class WithoutZeros {
public:
  /// Copies what is not 0 of rows in the memory of this process, if that pays for that network.
  WithoutZeros(const Network<T>& network, const Inputs<T>& x);

  bool pays() const { return !offsets_.empty(); }
  /// The rows, if it pays.
  SparseRows<T> rows() const { return {offsets_.data(), columns_.data(), values_.data(), rows_, cols_}; }

private:
  Index rows_, cols_;
  std::vector<Index> offsets_;
  std::vector<std::int32_t> columns_;
  std::vector<T> values_;
};

} // namespace chainrule
