import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import org.json.JSONObject

class Generator(context: Context, name: String = "generator_float16") : AutoCloseable {
    private val facts = JSONObject(
        context.assets.open("$name.json").bufferedReader().use { it.readText() })
    private val labelMap = facts.getJSONObject("label_map").let {
        val ids = it.getJSONArray("id_of_value")
        LabelMap(it.getInt("num_ids"), IntArray(ids.length(), ids::getInt),
                 it.optInt("unknown_value", -1), it.optInt("unknown", -1))
    }
    // In the order of the JSON's inputs.
    private val names = facts.getJSONArray("inputs").let { inputs ->
        List(inputs.length()) { inputs.getJSONObject(it).getString("name") }
    }
    private val shape = facts.getJSONArray("inputs")
        .getJSONObject(names.indexOf("semantics")).getJSONArray("shape")
    // Without Accelerator.CPU beside it, nothing falls back to the processor.
    private val model = CompiledModel.create(
        context.assets, "$name.tflite", CompiledModel.Options(Accelerator.GPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** Red, green and blue in [-1, 1], row by row; see [LabelMap.toSemantics]. */
    fun generate(values: IntArray, instance: IntArray?, z: FloatArray?): FloatArray {
        val semantics = labelMap.toSemantics(
            values, instance, shape.getInt(1), shape.getInt(2), shape.getInt(3))
        inputs[names.indexOf("semantics")].writeFloat(semantics)
        if (z != null) inputs[names.indexOf("z")].writeFloat(z)
        model.run(inputs, outputs)
        return outputs[0].readFloat()
    }

    override fun close() = model.close()
}
