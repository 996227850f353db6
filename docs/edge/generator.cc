#include "litert/cc/litert_compiled_model.h"
#include "litert/cc/litert_environment.h"
#include "litert/cc/litert_macros.h"

#include "label_map.h"

using litert::CompiledModel, litert::Environment, litert::HwAccelerators;

// Red, green and blue in [-1, 1], row by row, of `ToSemantics` and a style (empty for none).
litert::Expected<std::vector<float>> Generate(const char* path,
                                              const std::vector<float>& semantics, size_t pixels,
                                              const std::vector<float>& z) {
  LITERT_ASSIGN_OR_RETURN(auto environment, Environment::Create({}));
  LITERT_ASSIGN_OR_RETURN(auto model,
                          CompiledModel::Create(environment, path, HwAccelerators::kGpu));
  // In the order of the JSON's inputs: semantics, then z.
  LITERT_ASSIGN_OR_RETURN(auto inputs, model.CreateInputBuffers());
  LITERT_ASSIGN_OR_RETURN(auto outputs, model.CreateOutputBuffers());
  LITERT_RETURN_IF_ERROR(inputs[0].Write<float>(absl::MakeConstSpan(semantics)));
  if (!z.empty()) LITERT_RETURN_IF_ERROR(inputs[1].Write<float>(absl::MakeConstSpan(z)));
  LITERT_RETURN_IF_ERROR(model.Run(inputs, outputs));

  std::vector<float> picture(pixels * 3);
  LITERT_RETURN_IF_ERROR(outputs[0].Read<float>(absl::MakeSpan(picture)));
  return picture;
}
