// The GPU as a device. cuda/ implements this where CMake found a CUDA compiler, no_cuda/ elsewhere.
//
// All of it is for the thread that calls: its operations and its copies are done in the order in which it asks.
#pragma once

#include <cstddef>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels.h"

namespace chainrule::cuda {

/// Whether GPU code was compiled in.
bool compiled();
/// Why no GPU can be used, a sentence; empty if one can. Found out once.
const std::string& trouble();
/// Whether a GPU can be used.
inline bool available() { return trouble().empty(); }

/// How matrix products of float32 multiply: as they are, or on tensor cores with each number of a factor rounded
/// before, to 11 bits (wrong by at most 2^-11 of itself) or to 8 (2^-8). Arrays and sums are float32 in each, and all
/// other operations the same; float64 is never rounded.
enum class Precision { float32, tf32, bfloat16 };

inline constexpr const char* precision_names[] = {"float32", "tf32", "bfloat16"};

/// The table of the GPU; where there is none, every operation of it throws a sentence that says so.
const Device& device(Precision = Precision::float32);
/// The same, for whoever is to use it; throws trouble() where none can be used.
inline const Device& checked_device(Precision precision = Precision::float32) {
  if (!available()) throw std::runtime_error(trouble());
  return device(precision);
}

/// What the GPU is.
struct About {
  std::string name;
  int major = 0, minor = 0;    // of its compute capability
  int processors = 0;          // multiprocessors
  std::size_t memory = 0;      // bytes
  std::size_t free = 0;        // of them, now
  int driver = 0, runtime = 0; // versions of CUDA, 1000 major + 10 minor
};
About about();
/// The number of the GPU in use.
int number();
/// Whether its memory, or memory that it shares, begins there.
bool is_gpu_memory(const void* place);
/// Waits for all that anybody in this process has asked for.
void synchronize();

/// The seconds that the GPU takes for what `work` queues there, by its own clock.
double seconds_of(const std::function<void()>& work);

/// Too little memory on the GPU, which its Memory throws: MemoryError in Python, with what was asked for and what was
/// free.
class OutOfMemory : public std::bad_alloc {
public:
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

private:
  std::string message_;
};

} // namespace chainrule::cuda
