"""Says where the source files of each data set must lie, for --help and errors."""

from __future__ import annotations

FOLDERS: dict[str, str] = {
    "paired_folder": (
        "{train,val}_{img,label,inst}/ (val and inst are optional), files of one example sharing "
        "their name; {train,val}_cond/ in place of label for continuous maps; classes.txt with "
        "one class name a line, if there are names; --image_files, --label_files and "
        "--instance_files say where files lie in other folders, such as 'masks/{split}/*_mask'"
    ),
    "manifest": (
        "a .csv, .tsv or .jsonl file with image, label and split of each example and, if there are "
        "any, instance and name; paths are relative to the file, split is train or val"
    ),
    "coco_stuff": (
        "{train,val}_{img,label,inst}/ as the official release has it, or as COCO gives it: "
        "{train2017,val2017}/*.jpg (or images/{train2017,val2017}/), "
        "stuffthingmaps/{train2017,val2017}/*.png and, to have instances, "
        "instances/{train2017,val2017}/*.png"
    ),
    "ade20k": (
        "images/{training,validation}/*.jpg and annotations/{training,validation}/*.png "
        "(ADEChallengeData2016); for config outdoor also sceneCategories.txt, which comes with it"
    ),
    "cityscapes": (
        "leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and "
        "gtFine/{train,val}/CITY/{*_gtFine_labelIds.png,*_gtFine_instanceIds.png}"
    ),
    "flickr_landscapes": "{train,val}_img/*.jpg: photographs alone (val is optional)",
    "facades": (
        "base/cmp_b*.{jpg,png} and, if it is there, extended/cmp_x*.{jpg,png}: the two archives "
        "of the CMP facade database, unpacked"
    ),
    "landscapes": "nothing: the pictures are drawn",
}
