// oneDNN held by a step: primitives made once, with their memory objects and scratchpad, so that a run only puts pointers
// into them.
#pragma once
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>

#include <initializer_list>
#include <memory>
#include <vector>

#include "cpu/dtype.h"
#include "runtime/library.h"

namespace axon::cpu::onednn {

// Throws std::runtime_error naming `what` unless the call went well.
void check(dnnl_status_t status, const char* what);

template <class Handle, dnnl_status_t (*destroy)(Handle)> struct Destroy {
  using pointer = Handle;
  void operator()(Handle handle) const { destroy(handle); }
};
template <class Handle, dnnl_status_t (*destroy)(Handle)> using Held = std::unique_ptr<Handle, Destroy<Handle, destroy>>;
using Description = Held<dnnl_memory_desc_t, dnnl_memory_desc_destroy>;
using Plan = Held<dnnl_primitive_desc_t, dnnl_primitive_desc_destroy>;
using Attributes = Held<dnnl_primitive_attr_t, dnnl_primitive_attr_destroy>;

dnnl_engine_t engine();

// The data type of a dtype that oneDNN is used for: float32 and halves; of others the undefined one.
dnnl_data_type_t data_type(DType dtype);

// Memory of these sizes and element strides, or of whatever layout the primitive likes best when strides are empty.
Description describe(DType dtype, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides);

// A scratchpad of ours: what a run takes is known before it.
Attributes user_scratchpad();

// oneDNN plans and runs on one thread while this lives.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// A primitive and its arguments, in a fixed order.
class Primitive {
 public:
  Primitive() = default;
  Primitive(const_dnnl_primitive_desc_t plan, std::initializer_list<std::pair<int, const_dnnl_memory_desc_t>> arguments);
  explicit operator bool() const { return primitive_ != nullptr; }
  dnnl_status_t try_run(std::initializer_list<void*> pointers) noexcept;

 private:
  Held<dnnl_primitive_t, dnnl_primitive_destroy> primitive_;
  Held<dnnl_stream_t, dnnl_stream_destroy> stream_;
  std::vector<Held<dnnl_memory_t, dnnl_memory_destroy>> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
  Scratch scratchpad_;
};

}  // namespace axon::cpu::onednn
