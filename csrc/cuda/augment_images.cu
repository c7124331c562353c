// Pictures mirrored, turned, zoomed and shifted at random, on the GPU: the formulas are in formulas/images.h.
//
// A block has a picture: one of its threads draws what happens to it, then all make its numbers, one at a time.
#include <cmath>

#include "cuda/launch.h"
#include "cuda/number.h"
#include "cuda/operations.h"
#include "formulas/images.h"

namespace chainrule::cuda {
namespace {

__device__ inline ImageMap map_of(const ImageChanges& changes, const Stream& row_stream) {
  const Words first = philox(row_stream, 0), second = philox(row_stream, 1);
  const std::uint32_t words[image_words] = {first[0], first[1], first[2], first[3], second[0], second[1]};
  double cosine, sine;
  sincospi(2 * image_turns(changes, words), &sine, &cosine);
  return image_map(changes, words, cosine, sine);
}

/// Where a place lies along one axis: the pixel before it, and the share of the way to the next.
template <class T> struct Along {
  int pixel;
  Number<T> share;
};

template <class T> __device__ Along<T> along(T place, Index size) {
  const T kept = std::fmin(std::fmax(place, T(-1)), static_cast<T>(size)); // from there on all is filled
  const T pixel = std::floor(kept);
  return {static_cast<int>(pixel), Number<T>(kept - pixel)};
}

template <class T> __device__ T number_at(const ImageChanges& changes, const ImageMap& map, const T* x, Index element) {
  const Index channel = element % changes.channels, pixel = element / changes.channels;
  const Index r = pixel / changes.width, c = pixel % changes.width;
  const auto place = [&](double first, double down, double right) {
    return static_cast<T>(first + down * static_cast<double>(r)) + static_cast<T>(right) * static_cast<T>(c);
  };
  const Along<T> down = along(place(map.row, map.row_down, map.row_right), changes.height);
  const Along<T> right = along(place(map.column, map.column_down, map.column_right), changes.width);
  return between_pixels(down.share, right.share,
                        [&](int i, int j) {
                          const int row = down.pixel + i, column = right.pixel + j;
                          const bool inside = row >= 0 && row < changes.height && column >= 0 && column < changes.width;
                          return Number<T>(inside ? x[(row * changes.width + column) * changes.channels + channel]
                                                  : static_cast<T>(changes.fill));
                        })
      .v;
}

template <class T>
__global__ void change_images(ImageChanges changes, Stream stream, RowNumbers numbers, MatrixView<const T> x,
                              MatrixView<T> y) {
  __shared__ ImageMap map;
  for (Index i = blockIdx.x; i < x.rows; i += gridDim.x) {
    if (threadIdx.x == 0) map = map_of(changes, stream_of_row(stream, numbers[i]));
    __syncthreads();
    const T* from = x.data + i * x.stride;
    T* to = y.data + i * y.stride;
    for (Index e = threadIdx.x; e < y.cols; e += blockDim.x) to[e] = number_at(changes, map, from, e);
    __syncthreads(); // the map is read: the next picture's may take its place
  }
}

template <class T>
void augment_images(const Team&, const ImageChanges& changes, Stream stream, RowNumbers numbers,
                    const MatrixView<const T>& x, const MatrixView<T>& y) {
  const Index blocks = x.rows < most_blocks ? x.rows : most_blocks;
  launch("augment_images", change_images<T>, blocks, block_threads, changes, stream, numbers, x, y);
}

} // namespace

void list_augment_images(Device& device) {
  device.float32.augment_images = augment_images<float>;
  device.float64.augment_images = augment_images<double>;
}

} // namespace chainrule::cuda
