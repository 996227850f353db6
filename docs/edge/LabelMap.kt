/** `label_map` of the JSON beside a model; -1 where the JSON has null. */
class LabelMap(private val numIds: Int, private val idOfValue: IntArray,
               private val unknownValue: Int, private val unknown: Int) {

    /** Class ids of what a label map file holds. A value of no class is an error, never a guess. */
    fun toIds(values: IntArray) = IntArray(values.size) { pixel ->
        val value = values[pixel]
        val id = idOfValue.getOrElse(value) { -1 }
        when {
            id >= 0 -> id
            unknown >= 0 && value == unknownValue -> unknown
            else -> throw IllegalArgumentException(
                "label map: value $value at pixel $pixel is of no class")
        }
    }

    /** True where a pixel's instance differs from that above, below, left or right of it. */
    fun instanceEdges(instance: IntArray, height: Int, width: Int): BooleanArray {
        val edges = BooleanArray(height * width)
        fun compare(pixel: Int, other: Int) {
            if (instance[pixel] != instance[other]) {
                edges[pixel] = true
                edges[other] = true
            }
        }
        for (y in 0 until height) {
            for (x in 0 until width) {
                val pixel = y * width + x
                if (x + 1 < width) compare(pixel, pixel + 1)
                if (y + 1 < height) compare(pixel, pixel + width)
            }
        }
        return edges
    }

    /**
     * The input `semantics`, of `channels` per pixel.
     *
     * @param values what a label map file holds, row by row.
     * @param instance instance ids, row by row, or null for none.
     */
    fun toSemantics(values: IntArray, instance: IntArray?,
                    height: Int, width: Int, channels: Int): FloatArray {
        for (map in listOfNotNull(values, instance)) {
            require(map.size == height * width) {
                "${map.size} pixels, the model takes ${width}x$height"
            }
        }
        val semantics = FloatArray(height * width * channels)
        toIds(values).forEachIndexed { pixel, id -> semantics[pixel * channels + id] = 1f }
        if (instance != null && channels > numIds) {
            instanceEdges(instance, height, width).forEachIndexed { pixel, edge ->
                if (edge) semantics[pixel * channels + numIds] = 1f
            }
        }
        return semantics
    }
}
