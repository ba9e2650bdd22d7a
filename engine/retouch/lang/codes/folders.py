"""Folders and files that a stage opens as one thing, and scenes that are made of them."""

from retouch.lang.codes.code import Code

FOLDERS: dict[str, Code] = {
    "RT570": Code(
        "unfit-folder",
        "'{stage}' cannot open the folder '{path}': {what}",
        "{mend}",
        why="Some stages open a folder as one thing, such as photographs with the place of each camera. What the "
        "folder says of itself is read and held together before anything runs.",
    ),
    "RT584": Code(
        "doubtful-folder",
        "'{stage}' opens the folder '{path}', of which {what}",
        "{mend}",
        severity="warning",
        why="What a folder holds can be opened and still be no one thing, such as photographs of which some were cut "
        "out and others not. It is told, and taken as it is.",
    ),
    "RT571": Code(
        "bent-lens",
        "the pictures of '{path}' are bent by their lens: {what}",
        "{mend}",
        why="A field is seen along straight rays. Undistorting the photographs once, as 'colmap image_undistorter' "
        "does, keeps all that they show and makes their lines straight.",
    ),
    "RT572": Code(
        "unfit-view",
        "a picture of '{path}' cannot be used: {what}",
        "{mend}",
        why="Every picture that the folder names has to be there, below the folder, and readable. A scene with a "
        "picture less is another scene, so none is left out in silence.",
    ),
    "RT573": Code(
        "no-pose",
        "'{path}' does not say where a camera stood: {what}",
        "{mend}",
        why="Each picture needs a transform_matrix, four rows of four numbers from the camera to the world, whose "
        "first three columns are the camera's axes.",
    ),
    "RT574": Code(
        "no-lens",
        "'{path}' does not say how wide a camera sees: {what}",
        "{mend}",
        why="A picture's rays follow from its focal length and its middle, in pixels, for all pictures or for each: "
        "fl_x, fl_y, cx, cy, w and h, or camera_angle_x in radians.",
    ),
    "RT579": Code(
        "unfit-file",
        "'{stage}' cannot read '{path}': {what}",
        "{mend}",
        why="A file that another run wrote is held to its form by its header before anything loads. One of another "
        "kind, of another version or with a part missing is not guessed at.",
    ),
    "RT245": Code(
        "nothing-opaque",
        "'{stage}' finds nothing in the field that is as opaque as {asked}: the most is {most}",
        "{mend}",
        why="The surface lies where a voxel takes that share of the light. A field that was fitted for few steps, or "
        "holds fog alone, has no such place.",
    ),
    "RT575": Code(
        "nothing-lifted",
        "'{stage}' {what}",
        "{mend}",
        why="Voxels are changed where most views that see them have masked them. If masks do not meet anywhere, they "
        "are empty, or each is somewhere else; or what they take is hidden, or lies in another field.",
    ),
}
